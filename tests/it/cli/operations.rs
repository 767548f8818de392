//! `logs`, `keys`, `rows retry --dry-run`, `status --watch`: what operators do all day.

use std::process::Stdio;

use chrono::TimeDelta;
use hubferry::queue::upkeep::tasks::{TaskInfo, TaskRun};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{Said, command, finish, run};
use crate::support::binary::database_url;
use crate::support::{ADMIN_KEY, INGEST_KEY, World, samples, user};

async fn admin(world: &World, args: &[&str]) -> Said {
    run(args, &[("HUBFERRY_URL", &world.url), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)]).await
}

fn lines(said: &Said) -> Vec<Value> {
    assert_eq!(said.code, 0, "{said:?}");
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn logs_are_filtered_and_newest_first() {
    let world = World::new().await;
    world.accept(&json!(samples())).await;
    world.drain().await;
    let all = lines(&admin(&world, &["logs", "--json", "--limit", "1000"]).await);
    assert!(all.len() >= 10, "{all:?}");
    let times: Vec<&str> = all.iter().map(|line| line["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(lines(&admin(&world, &["logs", "--json", "--limit", "3"]).await), all[..3]);
    let contacts = ["logs", "--json", "--type", "contact", "--kind", "call", "--status", "2xx"];
    let contacts = lines(&admin(&world, &contacts).await);
    assert!(!contacts.is_empty() && contacts.iter().all(|l| l["sync_type"] == "contact"));
    assert!(lines(&admin(&world, &["logs", "--json", "--status", "5xx,none"]).await).is_empty());
    let said = admin(&world, &["logs"]).await;
    assert!(said.out.contains("upsert contacts") && said.out.contains(" input"), "{}", said.out);
    let said = admin(&world, &["logs", "--status", "many"]).await;
    assert!(said.code == 2 && said.err.contains("4xx"), "{said:?}");
}

#[tokio::test]
async fn a_key_is_made_used_and_revoked() {
    let world = World::new().await;
    let said =
        admin(&world, &["keys", "create", "billing", "--role", "ingest", "--expires-in-days", "9"])
            .await;
    assert_eq!(said.code, 0, "{said:?}");
    let key = said.out.trim().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    std::fs::write(&file, json!(samples()[0]).to_string()).unwrap();
    let send = ["send", file.to_str().unwrap(), "--url", &world.url, "--key", &key];
    assert_eq!(run(&send, &[]).await.code, 0);
    let said = run(&["status", "--url", &world.url, "--key", &key], &[]).await;
    assert_eq!(said.code, 4, "an ingest key opens no admin door: {said:?}");
    let said = admin(&world, &["keys", "list"]).await;
    assert!(said.out.contains("billing") && said.out.contains("active"), "{}", said.out);
    assert!(!said.out.contains(&key), "a key is shown once");
    let list = lines(&admin(&world, &["keys", "list", "--json"]).await);
    let items = list[0]["items"].as_array().unwrap();
    let made = items.iter().find(|item| item["name"] == "billing").unwrap();
    let id = made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned);
    assert_eq!(admin(&world, &["keys", "revoke", &id]).await.code, 0);
    assert_eq!(run(&send, &[]).await.code, 4);
    assert_eq!(run(&["keys", "list", "--url", &world.url, "--key", INGEST_KEY], &[]).await.code, 4);
    assert_eq!(admin(&world, &["keys", "create", "x", "--role", "king"]).await.code, 2);
}

#[tokio::test]
async fn a_dry_run_shows_what_a_retry_would_take() {
    let world = World::new().await;
    let other = [("email", "a@example.com"), ("hubferry_id", "somebody")];
    world.sandbox.create("contacts", &other);
    let at = "2026-01-01T10:00:00Z";
    world.accept(&user("1", "u-1", at, json!({ "email": "a@example.com" }))).await;
    world.drain().await;
    let said = admin(&world, &["rows", "retry", "--error-code", "CONFLICT", "--dry-run"]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("1 failed row matches") && said.out.contains("u-1"), "{}", said.out);
    assert_eq!(world.queue.outstanding().await.unwrap(), 0, "nothing was retried");
    let none =
        admin(&world, &["rows", "retry", "--all", "--until", "2020-01-01T00:00:00Z", "--yes"])
            .await;
    assert!(none.out.contains("0 rows"), "{none:?}");
    // Nobody is there to be asked, so nothing is retried unasked.
    let said = admin(&world, &["rows", "retry", "--all"]).await;
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0, "nothing was retried");
    let said = admin(&world, &["rows", "retry", "99999"]).await;
    assert!(said.code == 1 && said.err.contains("there is no row"), "{said:?}");
    let said = admin(&world, &["rows", "retry", "--all", "--yes"]).await;
    assert!(said.code == 0 && said.out.contains("1 row retried"), "{said:?}");
}

#[tokio::test]
async fn a_watched_status_comes_again_until_it_is_ended() {
    let world = World::new().await;
    let environment = [("HUBFERRY_URL", &*world.url), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)];
    let args = ["status", "--watch", "--every", "1", "--json"];
    let mut child = command(&args, &environment).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..2 {
        let line = lines.next_line().await.unwrap().expect("a line");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["gate"]["state"], "open");
    }
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
}

/// Starts the binary with a standard output that nobody reads, and with one that is full.
async fn unread(args: &[&str], environment: &[(&str, &str)]) -> Vec<(&'static str, Said)> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut said = Vec::new();
    for (name, out) in [("closed", Stdio::from(writer)), ("full", Stdio::from(full))] {
        let mut command = command(args, environment);
        said.push((name, finish(command.stdout(out).spawn().unwrap()).await));
    }
    said
}

#[tokio::test]
async fn no_command_panics_where_nobody_reads_or_the_disk_is_full() {
    let world = World::new().await;
    let url = database_url(&world.database);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.json");
    std::fs::write(&file, json!(samples()).to_string()).unwrap();
    let file = file.to_str().unwrap();
    let environment = [
        ("HUBFERRY_URL", &*world.url),
        ("HUBFERRY_ADMIN_KEY", ADMIN_KEY),
        ("HUBFERRY_INGEST_KEY", INGEST_KEY),
        ("DATABASE_URL", &url),
        ("HUBSPOT_API_URL", &world.hubspot_url),
        ("HUBSPOT_API_KEY", "sandbox-token"),
        ("XDG_STATE_HOME", folder.path().to_str().unwrap()),
    ];
    let commands: [&[&str]; 16] = [
        &["--help"],
        &["check"],
        &["check", "--json"],
        &["completions", "bash"],
        &["doctor"],
        &["doctor", "--json"],
        &["health"],
        &["keys", "list"],
        &["logs"],
        &["migrate"],
        &["plan", file],
        &["rows", "retry", "--all", "--dry-run"],
        &["send", file],
        &["send", file, "--json"],
        &["setup", "--check"],
        &["status"],
    ];
    for args in commands {
        let usual = run(args, &environment).await;
        for (kind, said) in unread(args, &environment).await {
            assert!(!said.err.contains("panicked"), "{args:?} {kind}: {said:?}");
            let failed = kind == "full" && args != ["--help"] && usual.code == 0;
            let wanted = if failed { 1 } else { usual.code };
            assert_eq!(said.code, wanted, "{args:?} {kind}: {said:?}");
        }
    }
    // Standard error likewise.
    let mut command = command(&["check", "--config", "/nowhere.toml"], &environment);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(finish(command.stderr(full).spawn().unwrap()).await.code, 2);
}

#[tokio::test]
async fn a_key_that_could_not_be_shown_is_revoked() {
    let world = World::new().await;
    let environment = [("HUBFERRY_URL", &*world.url), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)];
    for args in [
        &["keys", "create", "lost", "--role", "ingest"][..],
        &["keys", "create", "lost", "--role", "ingest", "--json"],
    ] {
        for (kind, said) in unread(args, &environment).await {
            assert!(said.code == 1 && said.err.contains("was revoked"), "{kind}: {said:?}");
        }
    }
    let list = lines(&admin(&world, &["keys", "list", "--json"]).await);
    let lost: Vec<&Value> =
        list[0]["items"].as_array().unwrap().iter().filter(|key| key["name"] == "lost").collect();
    assert!(lost.len() == 4 && lost.iter().all(|key| key["state"] == "revoked"), "{lost:?}");
}

#[tokio::test]
async fn status_names_the_background_tasks_that_failed_and_no_others() {
    let world = World::new().await;
    let now = world.queue.now().await.unwrap();
    for (name, result) in [("one", Ok("done".to_owned())), ("two", Err("the disk is full".into()))]
    {
        let (period, took) = (TimeDelta::minutes(10), TimeDelta::zero());
        let (description, impact) = ("Does something", "Something waits");
        let task = TaskInfo { name, description, impact, period, everywhere: false };
        let run = TaskRun { at: now, took, result, next: now };
        world.queue.store_task_run(&task, "a-process", &run).await.unwrap();
    }
    let said = admin(&world, &["status"]).await;
    let told: Vec<&str> = said.out.lines().filter(|line| line.starts_with("task ")).collect();
    assert_eq!(told.len(), 1, "{}", said.out);
    let starts = "task       two failed: the disk is full; tried again at 20";
    assert!(told[0].starts_with(starts), "{}", said.out);
}
