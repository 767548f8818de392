//! Settings that change while the service runs: each takes effect at once, without a restart, and
//! says where it comes from.

mod running;

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use hubferry::worker::Step;
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{World, event, row_id, user};

/// Stores `settings`, which must be accepted.
async fn put(world: &World, settings: Value) -> Value {
    let (status, body) =
        world.admin("PUT", "/settings", Some(json!({ "settings": settings }))).await;
    assert_eq!(status, 200, "{body}");
    body
}

/// One setting of an answer.
fn setting<'a>(body: &'a Value, key: &str) -> &'a Value {
    let all = body["settings"].as_array().expect("settings");
    all.iter().find(|s| s["key"] == key).expect("a known setting")
}

async fn one_user(world: &World, n: usize) -> String {
    let data = json!({ "email": format!("u{n}@example.com") });
    let event = user(&format!("e-{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", data);
    row_id(&world.accept(&event).await, 0)
}

fn down() -> Faults {
    let outage = Outage { status: 500, remaining: None, html: false };
    Faults { outage: Some(outage), ..Faults::default() }
}

#[tokio::test]
async fn every_setting_is_shown_with_its_default_bounds_and_source() {
    let world = World::new().await;
    let body = world.get("/settings").await;
    let keys: Vec<&str> = body["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| {
            assert!(setting["description"].as_str().is_some_and(|text| text.len() > 10));
            setting["key"].as_str().unwrap()
        })
        .collect();
    assert_eq!(keys.len(), 16, "{keys:?}");
    let retries = setting(&body, "retry.max_retries");
    let want = json!({ "key": "retry.max_retries", "value": 3, "default": 3, "source": "default",
        "unit": "retries", "description": "Retries before a row is marked failed",
        "min": 0, "max": 30, "changed_at": null, "changed_by": null, "ignored": null });
    assert_eq!(retries, &want);
    assert_eq!(setting(&body, "hubspot.timeout_seconds")["max"], 19, "what the lease allows");
}

#[tokio::test]
async fn retries_and_their_delay_change_at_once_and_rows_show_it() {
    let world = World::new().await;
    world.sandbox.set_faults(down());
    let first = one_user(&world, 1).await;
    let body = put(&world, json!({ "retry.delay_ms": 5_000, "retry.factor": 3 })).await;
    assert_eq!(setting(&body, "retry.delay_ms")["value"], 5_000);
    world.drain().await;
    let row = world.row(&first).await;
    let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let wait = time(&row["scheduled_at"]) - time(&row["attempts"][0]["attempted_at"]);
    assert!((wait - TimeDelta::seconds(5)).abs() < TimeDelta::seconds(2), "{wait}");
    assert_eq!((&row["status"], &row["max_retries"]), (&json!("retry"), &json!(3)));

    put(&world, json!({ "retry.max_retries": 0 })).await;
    assert_eq!(world.row(&first).await["max_retries"], 0);
    let second = one_user(&world, 2).await;
    world.drain().await;
    let row = world.row(&second).await;
    assert_eq!((&row["status"], &row["max_retries"]), (&json!("failed"), &json!(0)), "{row}");
}

#[tokio::test]
async fn the_breakers_threshold_and_rest_change_at_once() {
    let world = World::new().await;
    world.sandbox.set_faults(down());
    put(&world, json!({ "breaker.threshold": 2, "breaker.timeout_seconds": 30 })).await;
    for n in 0..2 {
        one_user(&world, n).await;
        world.drain().await;
    }
    let status = world.get("/status").await;
    let reason = &status["gate"]["reasons"][0];
    assert_eq!(reason["kind"], "breaker", "{status}");
    let time = |value: &Value| value.as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let rest = time(&reason["until"]) - time(&status["now"]);
    assert!(rest <= TimeDelta::seconds(30) && rest > TimeDelta::seconds(20), "{rest}");
}

#[tokio::test]
async fn while_sending_is_off_events_are_accepted_and_nothing_is_sent() {
    let world = World::new().await;
    put(&world, json!({ "worker.enabled": false })).await;
    let id = one_user(&world, 1).await;
    assert_eq!(world.drain().await, 0);
    assert_eq!((world.calls(""), &world.row(&id).await["status"]), (0, &json!("pending")));
    put(&world, json!({ "worker.enabled": null })).await;
    assert_eq!(world.drain().await, 1);
    assert_eq!(world.row(&id).await["status"], "synced");
}

#[tokio::test]
async fn the_time_out_of_a_call_changes_at_once() {
    let world = World::new().await;
    put(&world, json!({ "hubspot.timeout_seconds": 1 })).await;
    world.sandbox.set_faults(Faults { hang_ms: Some(60_000), ..Faults::default() });
    let id = one_user(&world, 1).await;
    let started = Instant::now();
    world.drain().await;
    // Without the change it were fifteen.
    let took = started.elapsed();
    assert!(took > Duration::from_millis(900) && took < Duration::from_secs(14), "{took:?}");
    assert_eq!(world.row(&id).await["error"]["code"], "TIMEOUT");
}

#[tokio::test]
async fn a_new_limit_holds_from_the_next_call_on_and_breaks_no_window() {
    let world = World::new().await;
    let mut users = 0..;
    let mut post = async || one_user(&world, users.next().unwrap_or(0)).await;
    let worked = Step::Worked { records: 1, calls: 1 };
    for _ in 0..25 {
        post().await;
        assert_eq!(world.step().await, worked);
    }
    // Smaller than what is in the window already: the next call waits for the window.
    put(&world, json!({ "hubspot.limit_per_10s": 20 })).await;
    assert_eq!(world.get("/status").await["limiter"]["limit"], 20);
    post().await;
    {
        let step = world.step();
        tokio::pin!(step);
        assert!(timeout(Duration::from_millis(700), &mut step).await.is_err(), "a full window");
        // Larger: whoever waits goes at once.
        put(&world, json!({ "hubspot.limit_per_10s": 1_000 })).await;
        assert_eq!(timeout(Duration::from_secs(30), step).await.expect("a place"), worked);
    }
    // Small again: of the places that are given from now on none breaks the new limit.
    put(&world, json!({ "hubspot.limit_per_10s": 10 })).await;
    let changed = world.queue.now().await.unwrap();
    for _ in 0..4 {
        post().await;
        let (step, mut ticks) = (world.step(), tokio::time::interval(Duration::from_millis(50)));
        tokio::pin!(step);
        loop {
            tokio::select! {
                step = &mut step => break assert_eq!(step, worked),
                _ = ticks.tick() => world.advance(TimeDelta::seconds(1)),
            }
        }
    }
    let seen: Vec<i64> = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM hubspot_call o
                 WHERE o.reserved_at < c.reserved_at AND o.free_at > c.reserved_at)
         FROM hubspot_call c WHERE c.reserved_at > $1",
    )
    .bind(changed)
    .fetch_all(world.queue.pool())
    .await
    .unwrap();
    assert!(seen.len() == 4 && seen.iter().all(|&others| others < 10), "{seen:?}");

    // Whoever waits for the pacer of a very small limit does not go on waiting for it.
    put(&world, json!({ "hubspot.limit_per_10s": 1 })).await;
    world.advance(TimeDelta::seconds(60));
    post().await;
    assert_eq!(world.step().await, worked);
    world.advance(TimeDelta::seconds(60));
    post().await;
    let step = world.step();
    tokio::pin!(step);
    assert!(timeout(Duration::from_millis(300), &mut step).await.is_err(), "ten seconds apart");
    put(&world, json!({ "hubspot.limit_per_10s": 1_000 })).await;
    assert_eq!(timeout(Duration::from_secs(30), step).await.expect("a place"), worked);
}

#[tokio::test]
async fn the_limit_of_a_day_changes_at_once() {
    let world = World::new().await;
    world.sandbox.set_faults(Faults { missing_rate_headers: true, ..Faults::default() });
    put(&world, json!({ "hubspot.limit_per_day": 1 })).await;
    for n in 0..2 {
        let mut event = user(
            &n.to_string(),
            &format!("u-{n}"),
            "2026-01-01T10:00:00Z",
            json!({ "email": "a@example.com" }),
        );
        event["data"]["email"] = format!("u{n}@example.com").into();
        event["priority"] = "high".into();
        world.accept(&event).await;
        world.drain().await;
    }
    let status = world.get("/status").await;
    assert_eq!((&status["daily"]["limit"], &status["counts"]["synced"]), (&json!(1), &json!(1)));
    assert!(status["gate"]["reasons"].to_string().contains("daily"), "{status}");

    // More of it opens the gate.
    put(&world, json!({ "hubspot.limit_per_day": 1_000 })).await;
    world.drain().await;
    let status = world.get("/status").await;
    assert_eq!(
        (&status["gate"]["state"], &status["counts"]["synced"]),
        (&json!("open"), &json!(2))
    );
}

#[tokio::test]
async fn events_that_name_no_priority_take_the_one_of_their_kind() {
    let world = World::new().await;
    let stored = json!({ "user.*": "low", "user.updated": "high" });
    put(&world, json!({ "ingest.priorities": stored })).await;
    let post = async |id: &str, kind: &str, priority: Option<&str>| {
        let data = json!({ "email": "a@example.com" });
        let mut event = event(id, kind, "u-1", "2026-01-01T10:00:00Z", data);
        if let Some(priority) = priority {
            event["priority"] = priority.into();
        }
        let id = row_id(&world.accept(&event).await, 0);
        world.row(&id).await["priority"].as_str().unwrap().to_owned()
    };
    assert_eq!(post("1", "user.updated", None).await, "high");
    assert_eq!(post("2", "user.deleted", None).await, "low");
    assert_eq!(post("3", "user.updated", Some("normal")).await, "normal");
    put(&world, json!({ "ingest.priorities": null })).await;
    assert_eq!(post("4", "user.updated", None).await, "normal", "the mapping's");
    // The same event again is still the same event.
    let again = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    assert_eq!(world.accept(&again).await["duplicates"], 1);
}

#[tokio::test]
async fn what_is_wrong_is_all_named_and_nothing_is_stored() {
    let world = World::new().await;
    let settings = json!({
        "retry.max_retries": 31, "retry.jitter": "some", "worker.count": 3,
        "hubspot.timeout_seconds": 20, "worker.enabled": false,
        "ingest.priorities": { "user.updatd": "high", "user.*": "urgent" },
    });
    let body = Some(json!({ "settings": settings }));
    let (status, problem) = world.admin("PUT", "/settings", body).await;
    assert_eq!((status, &problem["code"]), (422, &json!("invalid_settings")), "{problem}");
    let faults: Vec<(&str, &str)> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| (e["pointer"].as_str().unwrap(), e["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        faults,
        [
            ("/settings/hubspot.timeout_seconds", "out_of_range"),
            ("/settings/ingest.priorities/user.*", "unknown_priority"),
            ("/settings/ingest.priorities/user.updatd", "unknown_event_type"),
            ("/settings/retry.jitter", "wrong_type"),
            ("/settings/retry.max_retries", "out_of_range"),
            ("/settings/worker.count", "unknown_setting"),
        ]
    );
    assert_eq!(setting(&world.get("/settings").await, "worker.enabled")["value"], true);
    for body in [json!({}), json!({ "settings": [] }), json!({ "settings": {}, "more": 1 })] {
        assert_eq!(world.admin("PUT", "/settings", Some(body)).await.0, 400);
    }
    assert!(audit(&world).await.is_empty());
}

async fn audit(world: &World) -> Vec<(String, Value)> {
    sqlx::query_as("SELECT actor, details FROM audit WHERE action = 'settings' ORDER BY id")
        .fetch_all(world.queue.pool())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_audit_says_who_changed_what_from_what() {
    let world = World::new().await;
    let before = world.queue.now().await.unwrap();
    put(&world, json!({ "retry.max_retries": 5, "worker.enabled": false })).await;
    let body = put(&world, json!({ "retry.max_retries": 5, "worker.enabled": null })).await;
    put(&world, json!({ "retry.max_retries": 5 })).await;
    let want = [
        json!({ "retry.max_retries": { "from": 3, "to": 5 },
                "worker.enabled": { "from": true, "to": false } }),
        json!({ "worker.enabled": { "from": false, "to": true } }),
    ];
    let lines = audit(&world).await;
    assert_eq!(lines.iter().map(|(_, details)| details.clone()).collect::<Vec<_>>(), want);
    assert!(lines.iter().all(|(actor, _)| actor == "admin key"));

    let stored = setting(&body, "retry.max_retries");
    assert_eq!((&stored["source"], &stored["changed_by"]), (&json!("stored"), &json!("admin key")));
    let changed: DateTime<Utc> = stored["changed_at"].as_str().unwrap().parse().unwrap();
    assert!(changed > before, "{changed}");
    let removed = setting(&body, "worker.enabled");
    assert_eq!((&removed["source"], &removed["changed_by"]), (&json!("default"), &Value::Null));
}
