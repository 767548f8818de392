//! Planted words that must not get out: personal data, keys and tokens, in logs, metrics and errors of
//! the real program while all kinds of things fail.

use std::time::Duration;

use hubspot_sandbox::{Faults, Outage, Settings};
use serde_json::{Value, json};

use crate::support::binary::Server;
use crate::support::{ADMIN_KEY, INGEST_KEY, Setup, World, event};

/// In every field that an event has.
const CANARY: &str = "canary7f3a";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_planted_gets_into_logs_metrics_or_errors() {
    let token = "sandbox-token";
    let sandbox = Settings { limit_per_10s: 100_000, token: token.into(), ..Settings::default() };
    let world = World::with(Setup { sandbox, ..Setup::default() }).await;
    let server = Server::start(
        &world.database,
        &world.hubspot_url,
        &[("RUST_LOG", "hubferry=trace,tower_http=debug,info"), ("HUBSPOT_RETRY_DELAY", "50")],
    )
    .await;
    let user = |n: usize, email: &str| {
        event(
            &format!("e-{n}"),
            "user.created",
            &format!("u-{n}-{CANARY}"),
            "2026-01-01T10:00:00Z",
            json!({ "email": email, "first_name": format!("{CANARY}-first"), "last_name": CANARY,
                    "phone": "+33612345678", "job_title": CANARY, "company": CANARY }),
        )
    };
    let deal = event(
        "e-deal",
        "milestone.created",
        &format!("m-{CANARY}"),
        "2026-01-01T10:00:00Z",
        json!({ "name": CANARY, "status": "paid", "amount": { "value": "1.00", "currency": "GBP" } }),
    );
    let url = format!("{}/v1/events", server.url);
    let post = async |body: Value| {
        let request = world.http.post(&url).bearer_auth(INGEST_KEY).json(&body);
        request.send().await.unwrap().status().as_u16()
    };
    // Conflicts, refused values, an outage, refused events, wrong keys, paths that hold addresses.
    let shared = format!("{CANARY}@example.com");
    assert_eq!(post(json!([user(1, &shared), user(2, &shared), deal])).await, 202);
    assert_eq!(post(json!([user(3, &format!("{CANARY} is no address"))])).await, 422);
    let wrong = world.http.post(&url).bearer_auth(format!("hf_{CANARY}")).send().await.unwrap();
    assert_eq!(wrong.status(), 401);
    for path in [format!("/admin/sync/records/contact/{shared}"), format!("/{shared}?q={shared}")] {
        let url = format!("{}{path}", server.url);
        world.http.get(url).bearer_auth(ADMIN_KEY).send().await.unwrap();
    }
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let mut until = async |status: &str, least: i64| {
        let reached = async {
            loop {
                ticks.tick().await;
                let request = world.http.get(format!("{}/admin/sync/status", server.url));
                let reply = request.bearer_auth(ADMIN_KEY).send().await.unwrap();
                let answer: Value = reply.json().await.unwrap();
                if answer["counts"][status].as_i64().unwrap_or(0) >= least {
                    return;
                }
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(60), reached).await;
        reached.unwrap_or_else(|_| panic!("{least} rows that are {status}"));
    };
    until("failed", 2).await;
    let outage = Outage { status: 502, remaining: None, html: true };
    world.sandbox.set_faults(Faults { outage: Some(outage), ..Faults::default() });
    assert_eq!(post(json!([user(4, &format!("4{shared}"))])).await, 202);
    until("retry", 1).await;
    let metrics = world
        .http
        .get(format!("{}/metrics", server.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let log = server.log();
    assert!(log.lines().count() > 20, "a log was kept:\n{log}");
    server.terminate().await;
    for secret in [CANARY, INGEST_KEY, ADMIN_KEY, token, "+33612345678"] {
        for (name, text) in [("the log", &log), ("the metrics", &metrics)] {
            let line = text.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "{secret} in {name}");
        }
    }
}
