//! Noun, then verb: every noun of the API and the pages has its command.

use serde_json::{Value, json};

use super::{Said, run};
use crate::http::api::bad_deal;
use crate::support::{ADMIN_KEY, World, event, row_id, user};

async fn admin(world: &World, args: &[&str]) -> Said {
    run(args, &[("HUBFERRY_URL", &world.url), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)]).await
}

fn ok(said: &Said) -> &str {
    assert_eq!(said.code, 0, "{said:?}");
    &said.out
}

fn json_of(said: &Said) -> Value {
    serde_json::from_str(ok(said)).expect("JSON")
}

#[tokio::test]
async fn every_command_of_a_noun_has_a_help_with_an_example_and_answers_in_json() {
    let commands: [&[&str]; 19] = [
        &["rows", "list"],
        &["rows", "show"],
        &["rows", "retry"],
        &["rows", "discard"],
        &["rows", "confirm-erasure"],
        &["records", "list"],
        &["records", "show"],
        &["records", "resync"],
        &["records", "allow"],
        &["queue", "pause"],
        &["queue", "resume"],
        &["settings", "list"],
        &["settings", "set"],
        &["settings", "reset"],
        &["keys", "list"],
        &["keys", "create"],
        &["keys", "revoke"],
        &["errors", "list"],
        &["audit", "list"],
    ];
    for command in commands {
        let said = run(&[command, &["--help"]].concat(), &[]).await;
        let help = ok(&said);
        let example = format!("hubferry {}", command.join(" "));
        assert!(help.contains("--json") && help.contains("Example"), "{command:?}: {help}");
        assert!(help.contains(&example), "{command:?}: {help}");
    }
    // The old verbs without a noun are gone.
    for verb in ["retry", "pause", "resume"] {
        assert_eq!(run(&[verb], &[]).await.code, 2, "{verb}");
    }
}

#[tokio::test]
async fn rows_are_listed_shown_retried_and_discarded() {
    let world = World::new().await;
    let deals: Value = (1..=3).map(|n| bad_deal(&format!("{n}"), &format!("m-{n}"))).collect();
    let answer = world.accept(&deals).await;
    world.drain().await;
    let [one, two, _] = [0, 1, 2].map(|n| row_id(&answer, n));

    let said = admin(&world, &["rows", "list", "--status", "failed", "--limit", "2"]).await;
    assert!(ok(&said).contains("m-3") && !said.out.contains("m-1"), "{}", said.out);
    assert!(said.err.contains("--cursor"), "{}", said.err);
    let listed = admin(&world, &["rows", "list", "--external-id", "m-1", "--json"]).await;
    assert_eq!(json_of(&listed)["items"].as_array().unwrap().len(), 1);
    let shown = admin(&world, &["rows", "show", &one]).await;
    let words = ["INVALID_OPTION", "deal", "m-1", "failed"];
    assert!(words.iter().all(|word| ok(&shown).contains(word)), "{}", shown.out);
    assert_eq!(admin(&world, &["rows", "show", "999999"]).await.code, 1);
    assert_eq!(admin(&world, &["rows", "list", "--status", "odd"]).await.code, 2);

    // A discard says which rows, and asks where it does not know how many there are.
    let said = admin(&world, &["rows", "discard"]).await;
    assert!(said.code == 2 && said.err.contains("--all"), "{said:?}");
    let said = admin(&world, &["rows", "discard", "--type", "deal"]).await;
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    let said = admin(&world, &["rows", "discard", "--type", "deal", "--dry-run"]).await;
    assert!(ok(&said).contains("3 failed rows match"), "{}", said.out);
    assert_eq!(world.get("/status").await["counts"]["failed"], 3, "nothing was discarded");
    assert!(ok(&admin(&world, &["rows", "discard", &one]).await).contains("1 row discarded"));
    let said = admin(&world, &["rows", "discard", &one]).await;
    assert!(said.code == 1 && said.err.contains("not failed"), "{said:?}");
    // It is restored by its number.
    assert!(ok(&admin(&world, &["rows", "retry", &one]).await).contains("1 row retried"));
    world.drain().await;
    let both = admin(&world, &["rows", "discard", &one, &two, "--json"]).await;
    assert_eq!(json_of(&both)["discarded"], 2);
    let all = admin(&world, &["rows", "discard", "--all", "--yes"]).await;
    assert!(ok(&all).contains("1 row discarded"), "{}", all.out);
}

#[tokio::test]
async fn an_erasure_of_an_adopted_record_is_confirmed_only_on_demand() {
    let world = World::new().await;
    world.sandbox.create("contacts", &[("email", "a@example.com")]);
    let data = json!({ "email": "a@example.com" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let erased = event("2", "user.erased", "u-1", "2026-01-01T11:00:00Z", json!({}));
    let row = row_id(&world.accept(&erased).await, 0);
    world.drain().await;
    assert_eq!(world.row(&row).await["error"]["code"], "ADOPTED_RECORD");
    let said = admin(&world, &["rows", "confirm-erasure", &row]).await;
    assert!(said.code == 2 && said.err.contains("--yes"), "{said:?}");
    let said = admin(&world, &["rows", "confirm-erasure", &row, "--yes"]).await;
    assert!(ok(&said).contains("1 record"), "{said:?}");
    world.drain().await;
    assert_eq!(world.row(&row).await["status"], "synced");
    let again = admin(&world, &["rows", "confirm-erasure", &row, "--yes"]).await;
    assert!(again.code == 1 && again.err.contains("ADOPTED_RECORD"), "{again:?}");

    // The person is back.
    let said = admin(&world, &["records", "allow", "contact", "u-1"]).await;
    assert!(ok(&said).contains("accepted again"), "{said:?}");
    assert_eq!(admin(&world, &["records", "allow", "contact", "u-1"]).await.code, 1);
}

#[tokio::test]
async fn records_are_listed_shown_and_sent_again() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "business_id": "b-1" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let listed =
        admin(&world, &["records", "list", "--type", "contact", "--state", "linked"]).await;
    assert!(ok(&listed).contains("u-1"), "{}", listed.out);
    let shown = admin(&world, &["records", "show", "contact", "u-1"]).await;
    assert!(ok(&shown).contains("firstname") && shown.out.contains("parked"), "{}", shown.out);
    assert!(!shown.out.contains("Ada"), "values are only in the JSON");
    let shown = admin(&world, &["records", "show", "contact", "u-1", "--json"]).await;
    assert_eq!(json_of(&shown)["accepted"]["firstname"]["value"], "Ada");
    world.sandbox.clear_calls();
    ok(&admin(&world, &["records", "resync", "contact", "u-1"]).await);
    world.drain().await;
    assert_eq!(world.calls("contacts/batch/update"), 1, "all of it went again");
    let said = admin(&world, &["records", "resync", "contact", "nobody"]).await;
    assert!(said.code == 1 && said.err.contains("no record"), "{said:?}");
    assert_eq!(admin(&world, &["records", "list", "--state", "odd"]).await.code, 2);
}

#[tokio::test]
async fn settings_are_listed_set_and_reset() {
    let world = World::new().await;
    let listed = admin(&world, &["settings", "list"]).await;
    assert!(ok(&listed).contains("retry.max_retries"), "{}", listed.out);
    let set = ["settings", "set", "retry.max_retries=5", "worker.enabled=false"];
    let said = admin(&world, &set).await;
    assert_eq!(ok(&said).matches("stored").count(), 2, "{}", said.out);
    let value = async |key: &str| {
        let all = json_of(&admin(&world, &["settings", "list", "--json"]).await);
        let all = all["settings"].as_array().unwrap().clone();
        all.into_iter().find(|setting| setting["key"] == key).unwrap()["value"].clone()
    };
    assert_eq!(value("retry.max_retries").await, 5);
    assert_eq!(value("worker.enabled").await, false);
    let said = admin(&world, &["settings", "set", "retry.max_retries=many"]).await;
    assert!(said.code == 2 && said.err.contains("retry.max_retries: "), "{said:?}");
    ok(&admin(&world, &["settings", "reset", "retry.max_retries", "worker.enabled"]).await);
    assert_eq!(value("retry.max_retries").await, 3);
    assert_eq!(admin(&world, &["settings", "set", "retry.max_retries"]).await.code, 2);
}

#[tokio::test]
async fn errors_and_the_audit_are_listed() {
    let world = World::new().await;
    world.accept(&bad_deal("1", "m-1")).await;
    world.drain().await;
    let said = admin(&world, &["errors", "list", "--type", "deal"]).await;
    assert!(ok(&said).contains("INVALID_OPTION"), "{}", said.out);
    let none = admin(&world, &["errors", "list", "--type", "contact", "--json"]).await;
    assert_eq!(json_of(&none)["items"], json!([]));
    ok(&admin(&world, &["queue", "pause", "--reason", "tea"]).await);
    ok(&admin(&world, &["queue", "resume"]).await);
    let said = admin(&world, &["audit", "list", "--action", "pause"]).await;
    assert!(ok(&said).contains("tea") && !said.out.contains("resume"), "{}", said.out);
    let long = "x".repeat(501);
    let said = admin(&world, &["queue", "pause", "--reason", &long]).await;
    assert!(said.code == 2 && said.err.contains("at most 500"), "{said:?}");
}
