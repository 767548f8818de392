//! `doctor`: a good set-up has no problem, and each fault is found with its way out.

use serde_json::{Value, json};

use super::run;
use crate::support::binary::database_url;
use crate::support::{ADMIN_KEY, INGEST_KEY, Setup, World, database};

async fn doctor(environment: &[(&str, &str)]) -> (i32, Vec<Value>) {
    let said = run(&["doctor", "--json"], environment).await;
    let body: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{said:?}"));
    (said.code, body["checks"].as_array().unwrap().clone())
}

fn check<'a>(checks: &'a [Value], area: &str, name: &str) -> &'a Value {
    let found = checks.iter().find(|c| c["area"] == area && c["name"] == name);
    found.unwrap_or_else(|| panic!("{area} {name}: {checks:#?}"))
}

fn verdict(checks: &[Value], area: &str, name: &str) -> String {
    check(checks, area, name)["verdict"].as_str().unwrap().to_owned()
}

const KEYS: [(&str, &str); 2] =
    [("HUBFERRY_INGEST_KEY", INGEST_KEY), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)];

#[tokio::test]
async fn a_good_set_up_has_no_problem_and_nothing_is_changed() {
    let world = World::new().await;
    let url = database_url(&world.database);
    let hubspot = [
        ("DATABASE_URL", &*url),
        ("HUBSPOT_API_URL", &*world.hubspot_url),
        ("HUBSPOT_API_KEY", "sandbox-token"),
    ];
    let (code, checks) = doctor(&[&hubspot[..], &KEYS].concat()).await;
    assert_eq!(code, 0, "{checks:#?}");
    for (area, name) in [
        ("settings", "load"),
        ("settings", "keys"),
        ("settings", "mapping files"),
        ("postgres", "reachable"),
        ("postgres", "clock"),
        ("postgres", "autovacuum"),
        ("postgres", "schema"),
        ("queue", "gate"),
        ("queue", "waiting"),
        ("hubspot", "token"),
        ("hubspot", "read contacts"),
        ("hubspot", "set up"),
        ("hubspot", "day"),
    ] {
        assert_eq!(verdict(&checks, area, name), "ok", "{area} {name}: {checks:#?}");
    }
    assert_eq!(world.calls("/upsert") + world.calls("/update") + world.calls("/properties"), 0);
    let text = run(&["doctor"], &[&hubspot[..], &KEYS].concat()).await;
    assert!(text.out.contains("ok       hubspot   token"), "{}", text.out);
}

#[tokio::test]
async fn each_fault_is_a_problem_with_a_way_out() {
    let world = World::with(Setup { prepared: false, ..Setup::default() }).await;
    let url = database_url(&world.database);
    let hubspot = ("HUBSPOT_API_URL", &*world.hubspot_url);
    let token = ("HUBSPOT_API_KEY", "sandbox-token");
    let place = ("DATABASE_URL", &*url);

    // Nothing is set up in HubSpot, and people have paused the queue.
    world.admin("POST", "/pause", Some(json!({ "reason": "tea" }))).await;
    let (code, checks) = doctor(&[place, hubspot, token]).await;
    assert_eq!((code, verdict(&checks, "hubspot", "set up").as_str()), (1, "problem"));
    assert!(
        check(&checks, "hubspot", "set up")["way_out"].as_str().unwrap().contains("hubferry setup")
    );
    assert_eq!(verdict(&checks, "queue", "gate"), "warning");
    assert!(check(&checks, "queue", "gate")["detail"].as_str().unwrap().contains("tea"));
    assert_eq!(verdict(&checks, "settings", "keys"), "not_configured");

    // A token that is none, an account that is another one, a scope that is missing.
    let (code, checks) = doctor(&[hubspot, ("HUBSPOT_API_KEY", "wrong")]).await;
    assert_eq!((code, verdict(&checks, "hubspot", "token").as_str()), (1, "problem"));
    assert_eq!(verdict(&checks, "postgres", "reachable"), "not_configured");
    world.queue.remember_account(99, "UTC").await.unwrap();
    let (code, checks) = doctor(&[place, hubspot, token]).await;
    assert_eq!((code, verdict(&checks, "hubspot", "token").as_str()), (1, "problem"));
    assert!(check(&checks, "hubspot", "token")["detail"].as_str().unwrap().contains("99"));
    let mut faults = world.sandbox.faults();
    faults.deny_scopes = vec!["crm.objects.deals.read".into()];
    world.sandbox.set_faults(faults);
    let (_, checks) = doctor(&[hubspot, token]).await;
    assert_eq!(verdict(&checks, "hubspot", "read deals"), "problem");
    assert_eq!(verdict(&checks, "hubspot", "read contacts"), "ok");

    // No HubSpot, no Postgres, no schema, no settings.
    let (code, checks) = doctor(&[("HUBSPOT_API_URL", "http://127.0.0.1:9"), token]).await;
    assert_eq!((code, verdict(&checks, "hubspot", "reachable").as_str()), (1, "problem"));
    let nobody = ("DATABASE_URL", "postgres://nobody:s3cret@127.0.0.1:9/none");
    let soon = ("HUBFERRY__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1");
    let (code, checks) = doctor(&[nobody, soon]).await;
    assert_eq!((code, verdict(&checks, "postgres", "reachable").as_str()), (1, "problem"));
    assert!(!format!("{checks:?}").contains("s3cret"));
    let empty = database().await;
    let (code, checks) = doctor(&[("DATABASE_URL", &database_url(&empty))]).await;
    assert_eq!((code, verdict(&checks, "postgres", "schema").as_str()), (1, "problem"));
    let way_out = check(&checks, "postgres", "schema")["way_out"].as_str().unwrap();
    assert!(way_out.contains("hubferry migrate"), "{way_out}");
    let (_, again) = doctor(&[("DATABASE_URL", &database_url(&empty))]).await;
    assert_eq!(verdict(&again, "postgres", "schema"), "problem", "looking migrates nothing");
    let (code, checks) = doctor(&[("HUBFERRY__WORKER__COLOUR", "red")]).await;
    assert_eq!((code, verdict(&checks, "settings", "load").as_str()), (1, "problem"));
}

#[tokio::test]
async fn setup_and_doctor_count_in_the_accounts_own_day() {
    let world = World::new().await;
    let url = database_url(&world.database);
    let settings = [
        ("DATABASE_URL", &*url),
        ("HUBSPOT_API_URL", &*world.hubspot_url),
        ("HUBSPOT_API_KEY", "sandbox-token"),
    ];
    // The account is in Paris, whose day never begins when that of UTC does.
    world.worker.check_account().await.unwrap();
    // The first call was made before the zone was known, so it counts in the day of UTC.
    world.worker.check_account().await.unwrap();
    sqlx::query("UPDATE crm_portal SET day_used = 200000")
        .execute(world.queue.pool())
        .await
        .unwrap();
    for command in ["setup", "doctor"] {
        let before = world.queue.account().await.unwrap().day_used;
        run(&[command], &[&settings[..], &KEYS].concat()).await;
        let after = world.queue.account().await.unwrap().day_used;
        assert!(after > before, "{command}: {before} calls became {after}");
        // The running server counts on.
        world.worker.check_account().await.unwrap();
        assert_eq!(world.queue.account().await.unwrap().day_used, after + 1, "{command}");
    }
}
