//! Conflicts: what HubSpot already holds is adopted if it is nobody else's.

use hubspot_sandbox::Faults;
use serde_json::{Value, json};

use crate::support::{World, row_id, user};

fn with_email(id: &str, subject: &str, day: u32, email: &str) -> Value {
    let time = format!("2026-01-{day:02}T10:00:00Z");
    user(id, subject, &time, json!({ "email": email, "first_name": "Ada" }))
}

#[tokio::test]
async fn a_contact_that_hubspot_has_by_its_address_is_adopted_with_or_without_its_id_in_the_refusal()
 {
    for conflict_without_id in [false, true] {
        let world = World::new().await;
        world.sandbox.set_faults(Faults { conflict_without_id, ..Faults::default() });
        let id =
            world.sandbox.create("contacts", &[("email", "ada@example.com"), ("city", "London")]);
        let answer = world.accept(&with_email("1", "u-1", 1, "Ada@example.com")).await;
        let calls = world.drain().await;
        let row = world.row(&row_id(&answer, 0)).await;
        assert_eq!(
            (&row["status"], &row["record"]["hubspot_id"]),
            (&json!("synced"), &json!(id)),
            "{row}"
        );
        let held = world.only("contacts");
        assert_eq!((held["hubferry_id"].as_str(), held["city"].as_str()), ("u-1", "London"));
        assert_eq!(calls, 3, "refused, read, written");
    }
}

#[tokio::test]
async fn two_users_with_one_address_make_no_second_contact_and_the_failure_names_the_first() {
    let world = World::new().await;
    world.accept(&with_email("1", "u-1", 1, "ada@example.com")).await;
    world.drain().await;
    let answer = world.accept(&with_email("2", "u-2", 2, "ada@example.com")).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("CONFLICT")),
        "{row}"
    );
    assert!(row["error"]["message"].as_str().unwrap().contains("`u-1`"), "{row}");
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    // The first keeps its contact, however often the second is retried.
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "failed");
    // A new address of the second mends it.
    world.accept(&with_email("3", "u-2", 3, "bo@example.com")).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 2);
}

#[tokio::test]
async fn a_changed_address_that_belongs_to_somebody_else_fails_only_its_row() {
    let world = World::new().await;
    world
        .accept(&json!([
            with_email("1", "u-1", 1, "a@example.com"),
            with_email("2", "u-2", 1, "b@example.com")
        ]))
        .await;
    world.drain().await;
    let data = json!({ "email": "a@example.com" });
    let bad = world.accept(&user("3", "u-2", "2026-01-02T10:00:00Z", data)).await;
    let good = world
        .accept(&user("4", "u-2", "2026-01-03T10:00:00Z", json!({ "job_title": "Owner" })))
        .await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&good, 0)).await["status"], "synced");
    let row = world.row(&row_id(&bad, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["property"]),
        (&json!("failed"), &json!("email")),
        "{row}"
    );
    let message = row["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("`u-1`") && !message.contains("@"),
        "whose it is, as for a new one: {row}"
    );
}

#[tokio::test]
async fn an_empty_database_and_a_full_hubspot_make_no_duplicate() {
    let world = World::new().await;
    world.accept(&with_email("1", "u-1", 1, "a@example.com")).await;
    world.drain().await;
    let before = world.sandbox.objects("contacts")[0].id.clone();
    for table in ["attempt", "sync_queue", "crm_association", "crm_record", "event"] {
        let statement = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
        sqlx::query(statement).execute(world.queue.pool()).await.unwrap();
    }
    world.accept(&with_email("9", "u-1", 2, "a2@example.com")).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["email"], "a2@example.com");
    assert_eq!(world.sandbox.objects("contacts")[0].id, before);
}

#[tokio::test]
async fn a_secondary_address_leads_to_its_contact() {
    let world = World::new().await;
    let more = [("email", "first@example.com"), ("hs_additional_emails", "second@example.com")];
    let id = world.sandbox.create("contacts", &more);
    assert!(!id.is_empty());
    world.sandbox.set_faults(Faults { conflict_without_id: true, ..Faults::default() });
    let answer = world.accept(&with_email("1", "u-1", 1, "second@example.com")).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(
        (&row["status"], &row["record"]["hubspot_id"]),
        (&json!("synced"), &json!(id)),
        "{row}"
    );
    assert_eq!(world.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn an_archived_record_that_still_holds_the_key_is_named_with_the_way_out() {
    let world = World::new().await;
    world.accept(&with_email("1", "u-1", 1, "a@example.com")).await;
    world.drain().await;
    let id = world.sandbox.objects("contacts")[0].id.clone();
    world.sandbox.set_faults(Faults { keep_unique_on_archive: true, ..Faults::default() });
    world.sandbox.archive("contacts", &id);
    let answer = world.accept(&with_email("2", "u-1", 2, "b@example.com")).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("CONFLICT")),
        "{row}"
    );
    assert!(row["error"]["message"].as_str().unwrap().contains(&id), "{row}");
    assert!(row["error"]["hint"].as_str().unwrap().contains("recycle bin"), "{row}");
}

#[tokio::test]
async fn an_address_that_was_erased_in_hubspot_fails_with_that_reason() {
    let world = World::new().await;
    let id = world.sandbox.create("contacts", &[("email", "gone@example.com")]);
    world.sandbox.erase("contacts", &id);
    let answer = world.accept(&with_email("1", "u-1", 1, "gone@example.com")).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["property"]),
        (&json!("failed"), &json!("email")),
        "{row}"
    );
    assert!(!row["error"]["message"].as_str().unwrap().contains("gone@"), "{row}");
}

#[tokio::test]
async fn where_many_contacts_are_there_already_the_next_ones_are_looked_for_first() {
    let world = World::new().await;
    for n in 0..250 {
        let email = format!("u{n}@example.com");
        world.sandbox.create("contacts", &[("email", email.as_str())]);
    }
    let users = |from: usize, to: usize| -> Value {
        (from..to)
            .map(|n| with_email(&n.to_string(), &format!("u-{n}"), 1, &format!("u{n}@example.com")))
            .collect()
    };
    world.accept(&users(0, 100)).await;
    assert_eq!(world.drain().await, 3, "refused, read, written");
    world.accept(&users(100, 200)).await;
    world.sandbox.clear_calls();
    let calls = world.drain().await;
    assert_eq!(calls, 2, "read, written: {:?}", world.sandbox.calls());
    // Half of them are new: those are created after the look.
    world.accept(&users(200, 300)).await;
    assert_eq!(world.drain().await, 3);
    assert_eq!(world.sandbox.objects("contacts").len(), 300);
    assert_eq!(world.get("/status").await["counts"]["synced"], 300);
}
