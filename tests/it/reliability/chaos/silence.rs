//! Connections that stay open and say nothing any more; clocks that are wrong.

use std::time::{Duration, Instant};

use hubspot_sandbox::Faults;

use super::trial::{Application, Trial};
use super::{dice, urls};
use crate::support::database;
use crate::support::gulf::Gulf;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_connections_fall_silent_are_made_again() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let gulf = Gulf::to(trial.hubspot_url.trim_start_matches("http://")).await;
    let way = format!("http://{}", gulf.address);
    let servers = vec![trial.server_over(&way).await, trial.server_over(&way).await];
    let application = Application::start(seed, urls(&servers));
    trial.sandbox.set_faults(Faults { latency_ms: Some(200), ..Faults::default() });
    for _ in 0..4 {
        application.sends(20).await;
        gulf.falls_silent();
    }
    trial.sandbox.set_faults(Faults { latency_ms: Some(30), ..Faults::default() });
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

/// What a replica holds whose connections to Postgres have fallen silent is taken over by the other;
/// its own door opens again on new connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_postgres_does_not_hear_any_more_loses_its_work_and_accepts_again() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let (gulf, far) = Gulf::to_database(&trial.database).await;
    let servers = vec![trial.server_at(&far, &[]).await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    application.sends(20).await;
    gulf.falls_silent();
    application.sends(10).await;
    // Only the one that was cut off: it comes back by itself.
    application.urls.send_replace(vec![servers[0].url.clone()]);
    application.sends(10).await;
    application.urls.send_replace(urls(&servers));
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

/// One that is alone, whose workers, janitor and ears wait in the middle of a statement.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_postgres_does_not_hear_any_more_goes_on_by_itself() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let (gulf, far) = Gulf::to_database(&trial.database).await;
    // Longer than what a silent connection may hold up: a worker, until twenty seconds after its lease.
    let server = trial.server_at(&far, &[("HUBFERRY__SERVER__GRACE_SECONDS", "60")]).await;
    let application = Application::start(seed, vec![server.url.clone()]);
    application.sends(10).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    while trial.leased_by(&server).await == 0 {
        assert!(Instant::now() < deadline, "it has something to do");
        ticks.tick().await;
    }
    gulf.falls_silent();
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    assert!(server.terminate().await.success());
}

/// Two replicas whose machines' clocks are an hour apart from each other and from Postgres'.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clocks_that_are_an_hour_wrong_change_nothing() {
    let Some(library) = faketime() else { return };
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let mut servers = Vec::new();
    for wrong in ["+1h", "-1h"] {
        let clock = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME", wrong),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let server = trial.server_at(&trial.database, &clock).await;
        let line = server.log().lines().next().unwrap_or_default().to_owned();
        let entry: serde_json::Value = serde_json::from_str(&line).expect("a line of the log");
        let theirs: chrono::DateTime<chrono::Utc> =
            entry["timestamp"].as_str().and_then(|at| at.parse().ok()).expect("a time");
        let off = (theirs - chrono::Utc::now()).num_minutes().abs();
        assert!((58..=62).contains(&off), "its clock is wrong: {line}");
        servers.push(server);
    }
    let application = Application::start(seed, urls(&servers));
    application.sends(30).await;
    servers.remove(0).kill().await;
    application.urls.send_replace(urls(&servers));
    application.sends(20).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

/// The library that makes clocks wrong, where there is one.
fn faketime() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let found = setting("FAKETIME_LIB").into_iter().chain(
        ["/usr/lib", "/usr/lib64"]
            .iter()
            .flat_map(std::fs::read_dir)
            .flatten()
            .flatten()
            .map(|entry| format!("{}/faketime/libfaketime.so.1", entry.path().display())),
    );
    let found = found.into_iter().find(|path| std::path::Path::new(path).is_file());
    if found.is_none() {
        assert!(setting("HUBFERRY_REQUIRE_FAKETIME").is_none(), "no libfaketime");
        println!("skipped: no libfaketime on this machine");
    }
    found
}
