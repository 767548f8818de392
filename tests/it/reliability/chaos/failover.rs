//! One address that leads to a primary, then to its standby, and back: real streaming replication.

use std::time::{Duration, Instant};

use hubferry::config::{Config, Environment};
use hubferry::queue::{Queue, QueueError};
use pg_cluster::{Cluster, Options};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use super::dice;
use super::trial::{Application, Trial};
use crate::support::binary::Server;
use crate::support::database;
use crate::support::gulf::Gulf;

/// From the switch on, all is well within this time.
const HEALED: Duration = Duration::from_secs(10);

/// A primary and its standby, which may have to confirm every commit, and a database in both.
async fn pair(confirms: bool) -> (Cluster, Cluster, PgConnectOptions) {
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let path = std::env::var_os("PATH");
    let made = tokio::task::spawn_blocking(move || {
        let options = Options { path, durable: confirms, ..Options::default() };
        let primary = Cluster::temporary(options);
        let primary = primary.expect("a private Postgres");
        let standby = primary.standby().expect("a standby");
        (primary, standby)
    });
    let (primary, standby) = made.await.expect("two servers");
    let database = primary.create_database("hubferry").await.expect("a database");
    if confirms {
        let mut db = primary.connect_options().connect().await.expect("the primary");
        for statement in
            ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"]
        {
            sqlx::raw_sql(statement).execute(&mut db).await.expect("it does");
        }
    }
    (primary, standby, database)
}

/// Waits until `asked` says so.
async fn until(longest: Duration, what: &str, asked: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + longest;
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while !asked().await {
        assert!(Instant::now() < deadline, "{what}");
        ticks.tick().await;
    }
}

async fn ready(server: &Server) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let reply = http.get(format!("{}/readyz", server.url)).send().await.expect("a reply");
    reply.status().as_u16()
}

/// Waits until the standby has replayed all that the primary has written.
async fn replayed(primary: &PgConnectOptions, standby: &PgConnectOptions) {
    let mut there = primary.connect().await.expect("the primary");
    let written: String = sqlx::query_scalar("SELECT pg_current_wal_lsn()::text")
        .fetch_one(&mut there)
        .await
        .expect("a position");
    let mut here = standby.connect().await.expect("the standby");
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    loop {
        let done: bool = sqlx::query_scalar("SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn")
            .bind(&written)
            .fetch_one(&mut here)
            .await
            .expect("a position");
        if done {
            return;
        }
        assert!(Instant::now() < deadline, "the standby follows");
        ticks.tick().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_leads_to_a_standby_for_a_while_is_used_again_at_once() {
    let (_primary, standby, database) = pair(false).await;
    let replica = standby.connect_options().database("hubferry");
    let (seed, _) = dice();
    let trial = Trial::new(database.clone()).await;
    let (gulf, far) = Gulf::to_database(&database).await;
    let server = trial.server_at(&far, &[]).await;
    replayed(&database, &replica).await;
    let application = Application::start(seed, vec![server.url.clone()]);
    application.sends(10).await;
    gulf.turns_to(&replica);
    until(HEALED, "who cannot work says so", async || ready(&server).await == 503).await;
    application.is_refused(3).await;
    assert_eq!(ready(&server).await, 503);
    gulf.turns_to(&database);
    let back = Instant::now();
    until(HEALED, "ready again", async || ready(&server).await == 200).await;
    application.sends(1).await;
    println!("accepts {:?} after the address leads to the primary again", back.elapsed());
    assert!(back.elapsed() < HEALED, "accepts after {:?}", back.elapsed());
    let calls = trial.sandbox.calls().len();
    until(HEALED, "it sends again", async || trial.sandbox.calls().len() > calls).await;
    application.sends(10).await;
    // Nobody is left who fails all the time.
    let fails = || server.log().matches("a step failed").count();
    let before = fails();
    application.sends(100).await;
    assert_eq!(fails(), before, "{}", server.log());
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    assert!(server.terminate().await.success());
}

/// Synchronous replication, so that what was accepted is on the standby.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_that_is_promoted_takes_over() {
    let (primary, standby, database) = pair(true).await;
    let replica = standby.connect_options().database("hubferry");
    let (seed, _) = dice();
    let mut trial = Trial::new(database.clone()).await;
    let (gulf, far) = Gulf::to_database(&database).await;
    let server = trial.server_at(&far, &[]).await;
    let application = Application::start(seed, vec![server.url.clone()]);
    application.sends(10).await;
    gulf.turns_to(&replica);
    until(HEALED, "who cannot work says so", async || ready(&server).await == 503).await;
    trial.queue.pool().close().await;
    primary.stop().expect("it stops");
    tokio::task::block_in_place(|| standby.promote()).expect("a primary");
    let promoted = Instant::now();
    until(HEALED, "ready again", async || ready(&server).await == 200).await;
    application.sends(1).await;
    assert!(promoted.elapsed() < HEALED, "accepts after {:?}", promoted.elapsed());
    application.sends(10).await;
    let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(replica);
    trial.queue = Queue::new(pool);
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    assert!(server.terminate().await.success());
}

/// A request that is given up may break off a transaction at its beginning, which the driver then
/// leaves open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_connection_stays_inside_a_transaction() {
    let database = database().await;
    let config = Config::load(None, &Environment::default()).expect("the defaults");
    let queue = hubferry::app::open_queue(&config, database).await.expect("a queue");
    let now = queue.now().await.expect("a time");
    for tries in 0_u64..300 {
        let pause = queue.pause("ops", None, now);
        tokio::time::timeout(Duration::from_micros(tries * 20), pause).await.ok();
    }
    until(Duration::from_secs(5), "all have ended", async || {
        let inside: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND state LIKE 'idle in transaction%'",
        )
        .fetch_one(queue.pool())
        .await
        .expect("a count");
        inside == 0
    })
    .await;
}

/// As after a statement that a standby refuses within a text with a BEGIN.
#[tokio::test]
async fn a_connection_in_a_failed_transaction_is_not_used_again() {
    let database = database().await;
    let config = Config::load(None, &Environment::default()).expect("the defaults");
    let queue = hubferry::app::open_queue(&config, database).await.expect("a queue");
    let process = "SELECT pg_backend_pid()";
    let mut db = queue.pool().acquire().await.unwrap();
    let number: i32 = sqlx::query_scalar(process).fetch_one(&mut *db).await.unwrap();
    sqlx::raw_sql("BEGIN; SELECT nothing").execute(&mut *db).await.unwrap_err();
    let error = sqlx::query("SELECT 1").execute(&mut *db).await.unwrap_err();
    assert!(matches!(QueueError::from(error), QueueError::Unavailable(_)));
    // What dropping does, and waits for.
    db.return_to_pool().await;
    let mut next = queue.pool().acquire().await.unwrap();
    let other: i32 = sqlx::query_scalar(process).fetch_one(&mut *next).await.unwrap();
    assert_ne!(number, other);
}
