//! Chaos: the real program, a real Postgres, the simulated HubSpot under load, and everything that
//! can happen to a process, a database and a network. After each trial the audit: every accepted
//! event accounted for, HubSpot equal to the fold, no record twice, no window broken.

mod failover;
mod silence;
pub mod trial;

use std::time::Duration;

use hubspot_sandbox::Faults;
use pg_cluster::{Cluster, Options};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::binary::Server;
use crate::support::database;
use trial::{Application, Trial};

fn signal(server: &Server, signal: Signal) {
    let id = i32::try_from(server.child.id().expect("running")).expect("a pid");
    kill_process(Pid::from_raw(id).expect("a pid"), signal).expect("a signal");
}

fn urls(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.url.clone()).collect()
}

/// A seed for this run; the schedule of the processes is chance all the same.
fn dice() -> (u64, StdRng) {
    let seed = rand::rng().random();
    println!("seed {seed}");
    (seed, StdRng::seed_from_u64(seed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_are_killed_fifty_times() {
    let (seed, mut dice) = dice();
    let trial = Trial::new(database().await).await;
    let mut servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    for _ in 0..50 {
        application.sends(dice.random_range(0..4)).await;
        servers.remove(dice.random_range(0..servers.len())).kill().await;
        servers.push(trial.server().await);
        application.urls.send_replace(urls(&servers));
    }
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_sleeps_beyond_its_leases_changes_nothing_when_it_wakes() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    application.sends(10).await;
    // Caught within its calls, which take a while.
    trial.sandbox.set_faults(Faults { latency_ms: Some(300), ..Faults::default() });
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        signal(&servers[0], Signal::STOP);
        if trial.leased_by(&servers[0]).await > 0 {
            break;
        }
        signal(&servers[0], Signal::CONT);
        assert!(std::time::Instant::now() < deadline, "it has something to do");
        ticks.tick().await;
    }
    application.urls.send_replace(vec![servers[1].url.clone()]);
    trial.sandbox.set_faults(Faults { latency_ms: Some(30), ..Faults::default() });
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    while trial.leased_by(&servers[0]).await > 0 {
        assert!(std::time::Instant::now() < deadline, "its leases are taken back");
        ticks.tick().await;
    }
    application.sends(10).await;
    signal(&servers[0], Signal::CONT);
    application.urls.send_replace(urls(&servers));
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_crashes_three_times_under_load() {
    let (seed, mut dice) = dice();
    let cluster = tokio::task::spawn_blocking(|| {
        #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
        let path = std::env::var_os("PATH");
        Cluster::temporary(Options { path, durable: true, ..Options::default() })
    });
    let mut cluster = cluster.await.expect("a task").expect("a private Postgres");
    let trial = Trial::new(cluster.create_database("chaos").await.expect("a database")).await;
    let servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    for _ in 0..3 {
        application.sends(dice.random_range(3..15)).await;
        cluster = tokio::task::spawn_blocking(move || {
            cluster.crash().expect("it comes back");
            cluster
        })
        .await
        .expect("a task");
    }
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn backends_are_terminated_and_notifications_are_heard_again_within_a_second() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    let listeners = "SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    for _ in 0..5 {
        application.sends(4).await;
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
               AND application_name = 'hubferry'",
        )
        .execute(trial.queue.pool())
        .await
        .expect("terminated");
        let heard = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            loop {
                ticks.tick().await;
                let count: i64 = sqlx::query_scalar(listeners)
                    .fetch_one(trial.queue.pool())
                    .await
                    .expect("a count");
                if count == 2 {
                    return;
                }
            }
        };
        // One second, and what the machine takes for it under load.
        tokio::time::timeout(Duration::from_secs(10), heard).await.expect("both listen again");
    }
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_come_and_go_and_each_ends_in_order() {
    let (seed, mut dice) = dice();
    let trial = Trial::new(database().await).await;
    let mut servers = vec![trial.server().await, trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    for _ in 0..6 {
        application.sends(5).await;
        let leaving = servers.remove(dice.random_range(0..servers.len()));
        application.urls.send_replace(urls(&servers));
        let name = trial::holder(&leaving);
        let status = leaving.terminate().await;
        assert!(status.success(), "SIGTERM under load: {status}");
        assert_eq!(trial.leased(&name).await, 0, "nothing stays leased");
        servers.push(trial.server().await);
        application.urls.send_replace(urls(&servers));
    }
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_waited_out() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    application.sends(10).await;
    // What Postgres answers when it cannot extend a table, to new events and to the ends of calls.
    for statement in [
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
         END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON sync_queue EXECUTE FUNCTION full_disk()",
    ] {
        sqlx::query(statement).execute(trial.queue.pool()).await.expect("a full disk");
    }
    application.is_refused(20).await;
    sqlx::query("DROP TRIGGER full_disk ON sync_queue")
        .execute(trial.queue.pool())
        .await
        .expect("room again");
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_whose_connections_all_wait_refuses_and_goes_on() {
    let (seed, _) = dice();
    let trial = Trial::new(database().await).await;
    let servers = vec![trial.server().await, trial.server().await];
    let application = Application::start(seed, urls(&servers));
    application.sends(10).await;
    let mut lock = trial.queue.pool().begin().await.expect("a transaction");
    // One table: two locks, taken one after the other, would meet those of a worker crosswise.
    sqlx::query("LOCK TABLE crm_record").execute(&mut *lock).await.expect("the lock");
    application.is_refused(1).await;
    lock.rollback().await.expect("the end of the lock");
    application.sends(10).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}
