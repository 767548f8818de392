//! The binary: what people type, and what it says when something is missing.

mod doctor;
mod failures;
mod nouns;
mod operations;
mod plan;
mod proxy;
mod send;
mod tail;

use std::process::Stdio;

use serde_json::Value;
use tokio::process::{Child, Command};

use crate::support::binary::{database_url, hubferry};
use crate::support::{Setup, World, database};

#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn command(args: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = hubferry(args);
    command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn finish(child: Child) -> Said {
    let output = child.wait_with_output().await.expect("the binary runs");
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}

async fn run(args: &[&str], environment: &[(&str, &str)]) -> Said {
    finish(command(args, environment).spawn().expect("the binary starts")).await
}

const KEYS: [(&str, &str); 2] = [
    ("HUBFERRY_INGEST_KEY", "0123456789abcdef-an-ingest-key-of-it"),
    ("HUBFERRY_ADMIN_KEY", "0123456789abcdef-an-admin-key-of-it-"),
];

#[tokio::test]
async fn serve_says_what_is_missing_and_how_to_get_it() {
    let database = ("DATABASE_URL", "postgres://nobody:s3cret@127.0.0.1:9/none");
    let [ingest, admin] = KEYS;
    let token = ("HUBSPOT_API_KEY", "pat");
    let weak = |key: &'static str| [database, ("HUBFERRY_INGEST_KEY", key), admin];
    let way = "at least 32 characters, 16 of them different: make one with `export HUBFERRY_INGEST_KEY=$(openssl rand -base64 32)`";
    let cases: [(&[(&str, &str)], &str, i32); 11] = [
        (&[], "4 settings are missing", 2),
        (&[], "\n  DATABASE_URL is not set", 2),
        (&[], "\n  HUBSPOT_API_KEY is not set", 2),
        (&[database], "\n  HUBFERRY_INGEST_KEY is not set: make one with", 2),
        (&[database, ingest, token], "HUBFERRY_ADMIN_KEY is not set: make one with", 2),
        (&weak("aaaaaaaaaaaaaaaa"), way, 2),
        (&weak("0123456789abcdefghijklmnopqrstu"), way, 2),
        (&weak("0123456789-0123456789-0123456789-0123456789"), way, 2),
        (&[database, ingest, admin], "HUBSPOT_API_KEY is not set", 2),
        (&[database, ingest, admin, token], "Connection refused", 3),
        (
            &[("DATABASE_URL", "postgres//s3cret"), ingest, admin, token],
            "DATABASE_URL: is malformed",
            2,
        ),
    ];
    for (environment, sentence, code) in cases {
        let mut environment = environment.to_vec();
        environment.push(("HUBFERRY__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1"));
        let said = run(&["serve"], &environment).await;
        assert!(said.err.contains(sentence), "{sentence}: {}", said.err);
        assert_eq!(said.code, code, "{}", said.err);
        assert!(!said.err.contains("s3cret"), "{}", said.err);
    }
}

#[tokio::test]
async fn a_service_that_is_stopped_while_it_starts_ends_in_order() {
    // A database that takes the call and says nothing.
    let database = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://nobody@{}/none", database.local_addr().unwrap());
    let mut environment = vec![("DATABASE_URL", url.as_str()), ("HUBSPOT_API_KEY", "pat")];
    environment.extend(KEYS);
    let mut child = command(&["serve"], &environment).spawn().unwrap();
    let _held = database.accept().await.unwrap();
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_wrong_setting_is_named_with_its_key() {
    let cases = [
        (("HUBFERRY__WORKER__COLOUR", "red"), "colour"),
        (("HUBFERRY__WORKER__COUNT", "many"), "count"),
        (("HUBSPOT_TIMEOUT", "60"), "worker.lease_seconds"),
        (("HUBSPOT_API_VERSION", "latest"), "hubspot.api_version"),
        (("HUBFERRY_LISTEN", "here"), "listen"),
    ];
    for (variable, key) in cases {
        let said = run(&["check"], &[variable]).await;
        assert!(said.err.contains(key), "{key}: {}", said.err);
        assert_eq!(said.code, 2, "{}", said.err);
    }
    let said = run(&["check", "--config", "/nowhere/hubferry.toml"], &[]).await;
    assert!(said.err.contains("/nowhere/hubferry.toml") && said.code == 2, "{}", said.err);
}

#[tokio::test]
async fn check_works_offline_and_lists_what_is_understood() {
    let said = run(&["check", "--json"], &[]).await;
    let body: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(body["objects"], serde_json::json!(["company", "contact", "deal", "ticket"]));
    assert!(body["event_types"].as_array().unwrap().contains(&"dispute.resolved".into()));
}

#[tokio::test]
async fn setup_creates_what_is_missing_once_and_check_only_reports() {
    let world = World::with(Setup { prepared: false, ..Setup::default() }).await;
    let url = database_url(&world.database);
    let environment = [
        ("HUBSPOT_API_URL", world.hubspot_url.as_str()),
        ("HUBSPOT_API_KEY", "sandbox-token"),
        ("DATABASE_URL", &url),
    ];
    let said = run(&["setup", "--check"], &environment).await;
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("MISSING  contact  property  hubferry_id"), "{}", said.out);
    assert_eq!(world.calls(""), 0, "looking changes nothing");
    let said = run(&["setup"], &environment).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(said.out.contains("created  contact  property  hubferry_id"), "{}", said.out);
    let written = world.calls("");
    let said = run(&["setup", "--json"], &environment).await;
    let findings: Vec<Value> = serde_json::from_str(&said.out).expect("JSON");
    assert!(findings.iter().all(|f| f["state"] == "present"), "{findings:?}");
    assert_eq!(world.calls(""), written, "the second time changes nothing");

    // A key without uniqueness cannot be mended by us.
    let other = World::with(Setup { prepared: false, ..Setup::default() }).await;
    other.sandbox.define_property(
        "deals",
        &serde_json::json!({ "name": "hubferry_id", "label": "id",
        "type": "string", "fieldType": "text", "groupName": "dealinformation" }),
    );
    let environment =
        [("HUBSPOT_API_URL", other.hubspot_url.as_str()), ("HUBSPOT_API_KEY", "sandbox-token")];
    let said = run(&["setup"], &environment).await;
    assert!(said.out.contains("WRONG    deal") && said.code == 1, "{}", said.out);
    let said = run(&["setup"], &[environment[0], ("HUBSPOT_API_KEY", "wrong")]).await;
    assert!(said.err.contains("HUBSPOT_API_KEY") && said.code == 4, "{}", said.err);
}

#[tokio::test]
async fn migrate_may_run_twice() {
    let url = database_url(&database().await);
    for _ in 0..2 {
        let said = run(&["migrate"], &[("DATABASE_URL", &url)]).await;
        assert_eq!(said.code, 0, "{}", said.err);
    }
}

#[tokio::test]
async fn the_admins_verbs_talk_to_a_running_server() {
    let world = World::new().await;
    let server =
        [("HUBFERRY_URL", world.url.as_str()), ("HUBFERRY_ADMIN_KEY", crate::support::ADMIN_KEY)];
    let said = run(&["queue", "pause", "--reason", "tea"], &server).await;
    assert_eq!(said.code, 0, "{}", said.err);
    let said = run(&["status"], &server).await;
    assert!(said.out.contains("tea") && said.out.contains("contact"), "{}", said.out);
    assert_eq!(run(&["queue", "resume"], &server).await.code, 0);
    let said = run(&["status", "--json"], &server).await;
    let body: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(body["gate"]["state"], "open");
    assert!(run(&["rows", "retry", "--all", "--yes"], &server).await.out.contains("0 rows"));
    let said = run(&["rows", "retry"], &server).await;
    assert!(said.code == 2 && said.err.contains("--all"), "{}", said.err);
    let said = run(&["status", "--key", "wrong"], &server).await;
    assert!(said.code == 4 && said.err.contains("401"), "{}", said.err);
    let said = run(&["status", "--url", "http://127.0.0.1:9"], &server).await;
    assert!(said.code == 3 && said.err.contains("--url"), "{}", said.err);
    let said = run(&["rows", "retry", "--since", "yesterday"], &server).await;
    assert!(said.code == 2 && said.err.contains("2026-11-20T10:00:00Z"), "{said:?}");
}

#[tokio::test]
async fn the_help_tells_the_exit_codes_and_every_shell_gets_its_completions() {
    let said = run(&["--help"], &[]).await;
    assert_eq!(said.code, 0);
    for line in ["Exit codes:", "0    done", "4    the key or token is refused", "130  interrupted"]
    {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
    assert_eq!(run(&["no-such-command"], &[]).await.code, 2);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let said = run(&["completions", shell], &[]).await;
        assert_eq!(said.code, 0, "{said:?}");
        for word in ["hubferry", "backfill", "doctor", "revoke"] {
            assert!(said.out.contains(word), "{shell} does not know {word}");
        }
    }
}

#[tokio::test]
async fn the_demo_needs_nothing_and_ends_with_everything_in_place() {
    // Settings of a real account must not leak into it.
    let foreign = [
        ("DATABASE_URL", "postgres://127.0.0.1:9/x"),
        ("HUBSPOT_API_KEY", "real"),
        ("HUBSPOT_TIMEOUT", "x"),
    ];
    let said = run(&["demo", "--exit"], &foreign).await;
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    assert!(
        said.out.contains("carried 7 events") && said.out.contains("6 associations"),
        "{}",
        said.out
    );
}
