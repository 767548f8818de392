//! Whole services whose settings change: workers that rest and wake, sources, replicas.

use std::time::{Duration, Instant};

use hubferry::app::{App, Role, open_queue};
use hubferry::config::{Config, Environment};
use hubspot_sandbox::Faults;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::{one_user, setting};
use crate::support::binary::Server;
use crate::support::{ADMIN_KEY, INGEST_KEY, World, user};

const TOKEN: (&str, &str) = ("HUBSPOT_API_KEY", "sandbox-token");

/// A whole service on the database of `world`.
async fn service(world: &World, role: Role, variables: &[(&str, &str)]) -> (App, String) {
    let mut all = vec![
        ("HUBSPOT_API_URL", world.hubspot_url.as_str()),
        ("HUBFERRY_INGEST_KEY", INGEST_KEY),
        ("HUBFERRY_ADMIN_KEY", ADMIN_KEY),
        ("HUBFERRY__DATABASE__MAX_CONNECTIONS", "8"),
    ];
    all.extend(variables);
    let config = Config::load(None, &Environment::of(&all)).expect("sound settings");
    let queue = open_queue(&config, world.database.clone()).await.expect("a queue");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let app = App::start(&config, role, queue, listener).await.expect("a service");
    let url = format!("http://{}", app.address);
    (app, url)
}

async fn settings(world: &World, url: &str, change: Option<Value>) -> (u16, Value) {
    let url = format!("{url}/admin/sync/settings");
    let request = match change {
        Some(change) => world.http.put(url).json(&json!({ "settings": change })),
        None => world.http.get(url),
    };
    let reply = request.bearer_auth(ADMIN_KEY).send().await.expect("a reply");
    (reply.status().as_u16(), reply.json().await.expect("JSON"))
}

/// How long a service may take for what it must do, on a slow machine too.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until nothing is owed, by the clock of the wall.
async fn settled(world: &World) {
    until(PATIENCE, async || world.queue.outstanding().await.unwrap() == 0).await;
}

async fn until(patience: Duration, mut done: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while !done().await {
        assert!(Instant::now() < deadline, "not within {patience:?}");
        ticks.tick().await;
    }
}

#[tokio::test]
async fn a_service_that_starts_disabled_sends_as_soon_as_it_is_enabled() {
    let world = World::new().await;
    let off = ("HUBFERRY__WORKER__ENABLED", "false");
    let (app, url) = service(&world, Role::All, &[TOKEN, off]).await;
    one_user(&world, 1).await;
    let (_, body) = settings(&world, &url, None).await;
    let enabled = setting(&body, "worker.enabled");
    assert_eq!((&enabled["value"], &enabled["source"]), (&json!(false), &json!("environment")));
    assert_eq!(world.sandbox.calls().len(), 0, "not even the account is asked for");
    let (status, _) = settings(&world, &url, Some(json!({ "worker.enabled": true }))).await;
    assert_eq!(status, 200);
    settled(&world).await;
    // Known by now, the account is not asked for again: the way from the change to the call is short.
    settings(&world, &url, Some(json!({ "worker.enabled": false }))).await;
    one_user(&world, 2).await;
    world.sandbox.clear_calls();
    settings(&world, &url, Some(json!({ "worker.enabled": true }))).await;
    settled(&world).await;
    assert_eq!(world.calls("account-info"), 0, "{:?}", world.sandbox.calls());
    app.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn sending_cannot_be_enabled_where_there_is_no_token() {
    let world = World::new().await;
    let off = ("HUBFERRY__WORKER__ENABLED", "false");
    let (app, url) = service(&world, Role::All, &[off]).await;
    let change = json!({ "worker.enabled": true, "retry.max_retries": 7 });
    let (status, problem) = settings(&world, &url, Some(change)).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(problem["errors"][0]["code"], "no_token");
    assert!(problem["errors"][0]["detail"].as_str().unwrap().contains("HUBSPOT_API_KEY"));
    // A process that sends nothing leaves that to those that do; the one without a token says so.
    let (api, other) = service(&world, Role::Api, &[]).await;
    assert_eq!(settings(&world, &other, Some(json!({ "worker.enabled": true }))).await.0, 200);
    let (_, body) = settings(&world, &url, None).await;
    let enabled = setting(&body, "worker.enabled");
    assert_eq!((&enabled["value"], &enabled["source"]), (&json!(false), &json!("environment")));
    assert!(enabled["ignored"].as_str().unwrap().contains("HUBSPOT_API_KEY"), "{enabled}");
    app.stop().await.expect("an orderly end");
    api.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn an_idle_worker_gathers_as_long_as_the_frequency_says() {
    let world = World::new().await;
    // No worker is still in line for a permit when the setting changes.
    let wide = ("HUBFERRY__HUBSPOT__LIMIT_PER_10S", "10000");
    let (app, url) = service(&world, Role::All, &[TOKEN, wide]).await;
    one_user(&world, 0).await;
    settled(&world).await;
    settings(&world, &url, Some(json!({ "worker.frequency_ms": 3_600_000 }))).await;
    world.sandbox.clear_calls();
    let mut ticks = tokio::time::interval(Duration::from_millis(300));
    for n in 1..=8 {
        one_user(&world, n).await;
        ticks.tick().await;
    }
    // A worker that had been woken before the change may still have looked once.
    let early = world.calls("contacts/batch");
    assert!(early <= 1, "{early} calls in two seconds");
    settings(&world, &url, Some(json!({ "worker.frequency_ms": 0 }))).await;
    settled(&world).await;
    assert_eq!(world.calls("contacts/batch"), early + 1, "{:?}", world.sandbox.calls());
    app.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn a_shutdown_that_takes_too_long_names_what_was_still_running() {
    let world = World::new().await;
    let (app, _) =
        service(&world, Role::All, &[TOKEN, ("HUBFERRY__SERVER__GRACE_SECONDS", "0")]).await;
    one_user(&world, 1).await;
    settled(&world).await;
    let slow = Faults { latency_ms: Some(9_000), ..Faults::default() };
    world.sandbox.set_faults(slow);
    one_user(&world, 2).await;
    until(PATIENCE, async || !world.queue.leases().await.unwrap().is_empty()).await;
    let told = app.stop().await.unwrap_err().to_string();
    assert!(told.contains("(server.grace_seconds). Still running: "), "{told}");
    assert!(told.contains("worker "), "{told}");
}

#[tokio::test]
async fn a_stored_value_wins_over_the_environment_which_wins_over_the_file() {
    let world = World::new().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hubferry.toml");
    std::fs::write(
        &file,
        "[retry]\nmax_retries = 4\nfactor = 3.0\n[ingest.priorities]\n\"user.*\" = \"low\"\n",
    )
    .unwrap();
    let more = [
        ("HUBSPOT_MAX_RETRIES", "6"),
        ("HUBFERRY__INGEST__PRIORITIES", r#"{"user.deleted"="high"}"#),
    ];
    let config = Config::load(Some(&file), &Environment::of(&more)).unwrap();
    let mapping = hubferry::app::mapping(&config).unwrap();
    let live = || {
        hubferry::settings::Live::new(world.queue.clone(), config.base(&mapping, false).unwrap())
    };
    let shown = |live: &hubferry::settings::Live, key: &str| {
        let now = live.now();
        let entry = now.entries.iter().find(|e| e.spec.key == key).unwrap();
        (entry.value.clone(), serde_json::to_value(entry.source).unwrap())
    };
    let first = live();
    assert_eq!(shown(&first, "retry.max_retries"), (json!(6), json!("environment")));
    assert_eq!(shown(&first, "retry.factor"), (json!(3.0), json!("file")));
    assert_eq!(shown(&first, "retry.jitter"), (json!(0.0), json!("default")));
    let both = json!({ "user.*": "low", "user.deleted": "high" });
    assert_eq!(shown(&first, "ingest.priorities"), (both, json!("environment")));

    super::put(&world, json!({ "retry.max_retries": 9 })).await;
    let second = live();
    assert!(second.reload().await.unwrap() && !second.reload().await.unwrap());
    assert_eq!(shown(&second, "retry.max_retries"), (json!(9), json!("stored")));
    assert_eq!(second.now().values.max_retries, 9);
    super::put(&world, json!({ "retry.max_retries": null })).await;
    second.reload().await.unwrap();
    assert_eq!(shown(&second, "retry.max_retries"), (json!(6), json!("environment")));
}

#[tokio::test]
async fn a_priority_of_an_unknown_event_type_stops_the_start_with_its_name() {
    let variable = ("HUBFERRY__INGEST__PRIORITIES", r#"{"user.updatd"="high"}"#);
    let config = Config::load(None, &Environment::of(&[variable])).unwrap();
    let mapping = hubferry::app::mapping(&config).unwrap();
    let error = config.base(&mapping, false).unwrap_err().to_string();
    assert!(error.contains("ingest.priorities: `user.updatd` must be"), "{error}");
}

#[tokio::test]
async fn a_stored_value_that_is_not_sound_any_more_is_ignored_and_says_why() {
    let world = World::new().await;
    super::put(&world, json!({ "hubspot.timeout_seconds": 15, "retry.max_retries": 8 })).await;
    sqlx::query("INSERT INTO setting VALUES ('', 'worker.colour', '\"red\"', now(), 'later')")
        .execute(world.queue.pool())
        .await
        .unwrap();
    // Another lease, under which such a call would be too long.
    let shorter = [TOKEN, ("HUBFERRY__WORKER__LEASE_SECONDS", "12"), ("HUBSPOT_TIMEOUT", "3")];
    let (app, url) = service(&world, Role::All, &shorter).await;
    let (status, body) = settings(&world, &url, None).await;
    assert_eq!(status, 200, "{body}");
    let timeout = setting(&body, "hubspot.timeout_seconds");
    assert_eq!((&timeout["value"], &timeout["source"]), (&json!(3), &json!("environment")));
    assert_eq!((&timeout["max"], &timeout["changed_by"]), (&json!(6), &json!("admin key")));
    assert_eq!(timeout["ignored"], "must be between 1 and 6");
    assert_eq!(setting(&body, "retry.max_retries")["value"], 8, "the others hold");
    one_user(&world, 1).await;
    settled(&world).await;
    app.stop().await.expect("an orderly end");
}

#[tokio::test]
async fn what_is_stored_through_one_replica_holds_in_the_others_too() {
    let world = World::new().await;
    let more = [("HUBSPOT_MAX_RETRIES", "2")];
    let one = Server::start(&world.database, &world.hubspot_url, &more).await;
    let other = Server::start(&world.database, &world.hubspot_url, &more).await;
    let data = json!({ "email": "a@example.com" });
    let event = user("1", "u-1", "2026-01-01T10:00:00Z", data);
    world.accept(&event).await;
    settled(&world).await;
    let retries = async |server: &Server| -> Value {
        let url = format!("{}/admin/sync/queue", server.url);
        let reply = world.http.get(url).bearer_auth(ADMIN_KEY).send().await.unwrap();
        reply.json::<Value>().await.unwrap()["items"][0]["max_retries"].clone()
    };
    assert_eq!((retries(&one).await, retries(&other).await), (json!(2), json!(2)));
    let change = json!({ "retry.max_retries": 7, "worker.enabled": false });
    assert_eq!(settings(&world, &one.url, Some(change)).await.0, 200);
    assert_eq!(retries(&one).await, 7, "at once where it was stored");
    until(PATIENCE, async || retries(&other).await == 7).await;
    // By its notification: who only polls has just done so, and does again after five seconds.
    let mut quickest = PATIENCE;
    for wanted in [8, 9, 10] {
        let change = json!({ "retry.max_retries": wanted });
        assert_eq!(settings(&world, &one.url, Some(change)).await.0, 200);
        let started = Instant::now();
        until(PATIENCE, async || retries(&other).await == wanted).await;
        quickest = quickest.min(started.elapsed());
    }
    assert!(quickest < Duration::from_secs(4), "{quickest:?}");
    // Neither sends any more.
    let id = one_user(&world, 2).await;
    assert_eq!(world.row(&id).await["status"], "pending");
    assert_eq!(settings(&world, &other.url, Some(json!({ "worker.enabled": null }))).await.0, 200);
    settled(&world).await;
    assert!(one.terminate().await.success() && other.terminate().await.success());
}
