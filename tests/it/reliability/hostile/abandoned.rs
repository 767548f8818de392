//! Requests that are given up while Postgres works for them.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::reliability::chaos::trial::Trial;
use crate::support::{ADMIN_KEY, INGEST_KEY, database, event};

/// Connections of the server's.
async fn backends(db: &mut PgConnection) -> i64 {
    let count = "SELECT count(*) FROM pg_stat_activity
                 WHERE application_name = 'hubferry' AND datname = current_database()";
    sqlx::query_scalar(count).fetch_one(db).await.expect("a count")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_are_given_up_leave_no_backends_behind() {
    use sqlx::ConnectOptions as _;
    let trial = Trial::new(database().await).await;
    let server = trial.server().await;
    let mut db = trial.database.connect().await.expect("a connection");
    let mut holder = trial.database.connect().await.expect("a connection");
    // Whoever reads the log waits for this.
    let mut held = holder.begin().await.expect("a transaction");
    let lock = "LOCK TABLE attempt IN ACCESS EXCLUSIVE MODE";
    sqlx::query(lock).execute(&mut *held).await.expect("a lock");
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut most = 0;
    for round in 0..10 {
        let mut looks = tokio::task::JoinSet::new();
        for _ in 0..15 {
            let request = http.get(format!("{}/admin/sync/logs", server.url));
            let request = request.bearer_auth(ADMIN_KEY).timeout(Duration::from_millis(800));
            looks.spawn(request.send());
        }
        let id = format!("e{round}");
        let data = json!({ "email": format!("{id}@example.com") });
        let body = event(&id, "user.created", &id, "2026-01-01T10:00:00Z", data);
        let asked = Instant::now();
        let accepted = http.post(format!("{}/v1/events", server.url)).bearer_auth(INGEST_KEY);
        let accepted = accepted.json(&body).send().await.expect("an answer");
        assert_eq!(accepted.status(), 202);
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        while let Some(look) = looks.join_next().await {
            assert!(look.expect("a task").is_err(), "it was given up");
        }
        most = most.max(backends(&mut db).await);
    }
    println!("150 requests given up: {most} connections at most");
    assert!(most <= 30, "{most} connections");
    // Nobody is there any more for whom they would wait: they end without the lock.
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'hubferry'
                   AND datname = current_database() AND wait_event_type = 'Lock'
                   AND query LIKE 'SELECT ''attempt''%'";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut db).await.expect("a count") > 0 {
        assert!(Instant::now() < deadline, "looks that nobody waits for go on");
        ticks.tick().await;
    }
    held.rollback().await.expect("an end");
    let logs = http.get(format!("{}/admin/sync/logs", server.url)).bearer_auth(ADMIN_KEY);
    assert_eq!(logs.send().await.expect("an answer").status(), 200);
    assert!(server.terminate().await.success());
}
