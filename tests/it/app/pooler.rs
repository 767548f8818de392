//! Behind PgBouncer in transaction mode: each transaction may run on another connection of the
//! server, nothing of a session lasts, and no notification arrives.

use std::time::Duration;

use crate::reliability::chaos::trial::{Application, Trial};
use crate::support::binary::{database_url, hubferry};
use crate::support::database;
use crate::support::pooler::Pooler;

const POOLER: (&str, &str) = ("HUBFERRY__DATABASE__POOLER", "true");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_share_four_connections_and_nothing_is_lost() {
    let direct = database().await;
    let Some(pooler) = Pooler::start(&direct, 4).await else { return };
    let trial = Trial::new(direct).await;
    let mut servers = Vec::new();
    for _ in 0..2 {
        servers.push(trial.server_at(&pooler.database, &[POOLER]).await);
    }
    let urls = servers.iter().map(|server| server.url.clone()).collect();
    let application = Application::start(1, urls);
    application.sends(40).await;
    servers.remove(0).kill().await;
    application.urls.send_replace(vec![servers[0].url.clone()]);
    application.sends(20).await;
    assert!(servers.remove(0).terminate().await.success());
    servers.push(trial.server_at(&pooler.database, &[POOLER]).await);
    application.urls.send_replace(vec![servers[0].url.clone()]);
    application.sends(5).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_address_past_the_pooler_the_others_are_heard() {
    let direct = database().await;
    let Some(pooler) = Pooler::start(&direct, 4).await else { return };
    let trial = Trial::new(direct.clone()).await;
    let past = database_url(&direct);
    let settings = [POOLER, ("HUBFERRY__DATABASE__DIRECT_URL", past.as_str())];
    let server = trial.server_at(&pooler.database, &settings).await;
    let listens = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let listeners: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE 'LISTEN%'",
            )
            .fetch_one(trial.queue.pool())
            .await
            .expect("a count");
            if listeners == 1 {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), listens).await.expect("it listens");
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn without_the_setting_the_way_out_is_named() {
    let direct = database().await;
    let Some(pooler) = Pooler::start(&direct, 4).await else { return };
    let output = hubferry(&["migrate"])
        .env("DATABASE_URL", database_url(&pooler.database))
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success());
    assert!(said.contains("HUBFERRY__DATABASE__POOLER=true"), "{said}");
}

/// PgBouncer refuses the settings of a session in every mode.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_session_mode_the_setting_is_needed_too_and_is_enough() {
    let direct = database().await;
    let Some(pooler) = Pooler::in_session_mode(&direct).await else { return };
    for (setting, works) in [(("HUBFERRY__DATABASE__POOLER", "false"), false), (POOLER, true)] {
        let output = hubferry(&["migrate"])
            .env("DATABASE_URL", database_url(&pooler.database))
            .env(setting.0, setting.1)
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.success(), works, "{said}");
        assert_eq!(said.contains("HUBFERRY__DATABASE__POOLER=true"), !works, "{said}");
    }
    let trial = Trial::new(direct).await;
    let server = trial.server_at(&pooler.database, &[POOLER]).await;
    let application = Application::start(1, vec![server.url.clone()]);
    application.sends(20).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn the_doctor_says_what_the_role_lacks() {
    let direct = database().await;
    let Some(pooler) = Pooler::start(&direct, 4).await else { return };
    let output = hubferry(&["doctor", "--json"])
        .env("DATABASE_URL", database_url(&pooler.database))
        .env(POOLER.0, POOLER.1)
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("SET jit = off"), "{said}");
}

#[tokio::test]
async fn a_pooler_that_keeps_no_prepared_statements_is_recognised() {
    let direct = database().await;
    let Some(pooler) = Pooler::start_with(&direct, 4, 0).await else { return };
    for command in ["migrate", "doctor"] {
        let output = hubferry(&[command])
            .env("DATABASE_URL", database_url(&pooler.database))
            .env(POOLER.0, POOLER.1)
            .output()
            .await
            .expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!output.status.success(), "{command}: {said}");
        assert!(said.contains("PgBouncer 1.21 or newer"), "{command}: {said}");
    }
}
