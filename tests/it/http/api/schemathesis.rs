//! Schemathesis against our own document: thousands of requests made from it, each answer compared
//! with what it promises. They are the same in each run; HUBFERRY_SCHEMATHESIS_SEED draws others.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::support::{ADMIN_KEY, World, user};

/// How long it goes on; it ends by itself where it runs out of ideas.
const SECONDS: u64 = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_is_one_that_the_document_names() {
    let Some(program) = program().await else { return };
    let world = World::new().await;
    let data = serde_json::json!({ "email": "a@example.com", "first_name": "Ada" });
    world.accept(&user("evt-1", "u-1001", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let dir = tempfile::tempdir().expect("a directory");
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let seed = std::env::var("HUBFERRY_SCHEMATHESIS_SEED").unwrap_or_else(|_| "1".into());
    let mut command = Command::new(program);
    // Neither a proxy nor a setting of the machine's changes what it asks.
    let kept = ["PATH", "HOME"].map(|name| (name, std::env::var_os(name).unwrap_or_default()));
    command
        .env_clear()
        .envs(kept)
        .arg("run")
        .arg(format!("{}/openapi.json", world.url))
        .args(["--header", &format!("Authorization: Bearer {ADMIN_KEY}")])
        .args(["--phases", "examples,coverage,fuzzing", "--generation-database", "none"])
        .args(["--seed", &seed, "--max-time", &SECONDS.to_string()])
        // What a value must be beyond its type is not all in the document.
        .args(["--exclude-checks", "positive_data_acceptance"])
        // It does not end.
        .args(["--exclude-path", "/admin/sync/logs/stream", "--no-color"])
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let patience = Duration::from_secs(SECONDS * 3);
    let output = tokio::time::timeout(patience, command.output()).await.expect("an end");
    let output = output.expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let summary = said.lines().filter(|line| line.contains("generated"));
    println!("{}", summary.collect::<Vec<_>>().join("\n"));
}

/// Where it is, if anywhere; with HUBFERRY_REQUIRE_SCHEMATHESIS set it must be somewhere.
async fn program() -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
    let setting = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let installed = concat!(env!("CARGO_MANIFEST_DIR"), "/target/schemathesis/bin/schemathesis");
    let named = setting("SCHEMATHESIS").map_or_else(|| "schemathesis".into(), PathBuf::from);
    for program in [named, installed.into()] {
        let asked = Command::new(&program).arg("--version").output().await;
        if asked.is_ok_and(|asked| asked.status.success()) {
            return Some(program);
        }
    }
    assert!(setting("HUBFERRY_REQUIRE_SCHEMATHESIS").is_none(), "no Schemathesis");
    println!("skipped: no Schemathesis on this machine");
    None
}
