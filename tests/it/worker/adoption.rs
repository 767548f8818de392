//! Records that HubSpot had before us: adopted by an address that nobody has verified.

use chrono::TimeDelta;
use hubferry::queue::delivery::settlement::{Certainty, Settlement};
use hubferry::worker::Step;
use hubspot_sandbox::{ApplyThenFail, FailHow, Faults};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn ada(id: &str, day: u32) -> Value {
    let data = json!({ "email": "ada@example.com", "first_name": "Ada" });
    user(id, "u-1", &format!("2026-01-{day:02}T10:00:00Z"), data)
}

fn verb(id: &str, verb: &str, day: u32) -> Value {
    event(id, &format!("user.{verb}"), "u-1", &format!("2026-01-{day:02}T10:00:00Z"), json!({}))
}

/// A contact that people made, adopted by `u-1`; answers its id and the row that led to it.
async fn adopted() -> (World, String, String) {
    let world = World::new().await;
    let theirs = [("email", "ada@example.com"), ("city", "London")];
    let id = world.sandbox.create("contacts", &theirs);
    let row = row_id(&world.accept(&ada("1", 1)).await, 0);
    world.drain().await;
    world.sandbox.clear_calls();
    (world, id, row)
}

async fn record(world: &World) -> Value {
    world.get("/records/contact/u-1").await
}

#[tokio::test]
async fn an_adoption_is_remembered_and_a_delete_leaves_the_contact() {
    let (world, id, row) = adopted().await;
    let shown = record(&world).await;
    assert_eq!(shown["adopted_by"], json!(row), "{shown}");
    assert!(shown["adopted_at"].is_string(), "{shown}");
    let deleted = row_id(&world.accept(&verb("2", "deleted", 2)).await, 0);
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!(contact["city"], "London");
    assert_eq!(contact.get("hubferry_id").map_or("", String::as_str), "", "unlinked");
    assert_eq!(world.calls("batch/archive"), 0);
    let row = world.row(&deleted).await;
    assert_eq!(
        (&row["status"], &row["warnings"][0]["code"]),
        (&json!("synced"), &json!("adopted_kept"))
    );
    let shown = record(&world).await;
    assert_eq!(
        (&shown["hubspot_id"], &shown["adopted_at"]),
        (&Value::Null, &Value::Null),
        "{shown}"
    );
    // Who comes back adopts it once more; another one may, too, since it bears nobody's key.
    world.accept(&ada("3", 3)).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    assert_eq!(record(&world).await["hubspot_id"], json!(id));
    assert!(record(&world).await["adopted_at"].is_string());
}

#[tokio::test]
async fn an_erasure_of_an_adopted_contact_waits_for_a_person() {
    let (world, _, _) = adopted().await;
    let erasure = row_id(&world.accept(&verb("2", "erased", 2)).await, 0);
    world.drain().await;
    let failed = async |times: &str| {
        let row = world.row(&erasure).await;
        assert_eq!(
            (&row["status"], &row["error"]["code"]),
            (&json!("failed"), &json!("ADOPTED_RECORD")),
            "{times}: {row}"
        );
        assert_eq!(world.only("contacts")["city"], "London");
    };
    failed("at first").await;
    // A retry, of one row or of all, decides nothing.
    world.admin("POST", &format!("/queue/{erasure}/retry"), None).await;
    world.drain().await;
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    failed("after retries").await;
    assert_eq!(world.calls("gdpr-delete"), 0);
    let confirm = format!("/queue/{erasure}/confirm");
    assert_eq!(world.admin("POST", &confirm, None).await.0, 200);
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.calls("gdpr-delete"), 1);
    assert_eq!(world.row(&erasure).await["status"], "synced");
    let (status, answer) = world.admin("POST", &confirm, None).await;
    assert_eq!((status, &answer["code"]), (409, &json!("nothing_to_confirm")));
    let audit = world.get("/audit?action=confirm").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn settings_may_say_that_adopted_contacts_go_like_others() {
    let change =
        json!({ "settings": { "adopted.on_delete": "archive", "adopted.on_erase": "erase" } });
    for (verbed, call) in [("deleted", "batch/archive"), ("erased", "gdpr-delete")] {
        let (world, _, _) = adopted().await;
        assert_eq!(world.admin("PUT", "/settings", Some(change.clone())).await.0, 200);
        world.accept(&verb("2", verbed, 2)).await;
        world.drain().await;
        assert!(world.sandbox.objects("contacts").is_empty());
        assert_eq!(world.calls(call), 1);
    }
}

#[tokio::test]
async fn a_late_call_that_writes_our_key_again_does_not_take_the_contact_along() {
    let (world, id, _) = adopted().await;
    world.accept(&ada("2", 2)).await;
    let data = json!({ "job_title": "Countess" });
    world.accept(&user("3", "u-1", "2026-01-02T11:00:00Z", data)).await;
    let slow = world.lease("contact").await;
    world.advance(chrono::TimeDelta::seconds(21));
    world.accept(&verb("4", "deleted", 3)).await;
    world.drain().await;
    assert_eq!(world.only("contacts").get("hubferry_id").map_or("", String::as_str), "");
    // The slow holder's update by HubSpot's id arrives only now, with our key; then it settles.
    world.sandbox.edit("contacts", &id, &[("jobtitle", "Countess"), ("hubferry_id", "u-1")]);
    let mut late = Settlement::release(slow.records[0].id, slow.records[0].doubt);
    late.certainty = Certainty::Certain;
    let now = world.queue.now().await.unwrap();
    assert_eq!(world.queue.settle(&slow.lease, &[late], None, now).await.unwrap().fenced, 1);
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!(contact["city"], "London");
    assert_eq!(contact.get("hubferry_id").map_or("", String::as_str), "");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_created_anew_after_an_adopted_one_vanished_is_ours() {
    let (world, id, _) = adopted().await;
    world.sandbox.archive("contacts", &id);
    world.accept(&user("2", "u-1", "2026-01-02T10:00:00Z", json!({ "job_title": "x" }))).await;
    world.drain().await;
    assert_eq!(record(&world).await["adopted_at"], Value::Null);
    world.accept(&verb("3", "deleted", 3)).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.calls("batch/archive"), 1);
}

#[tokio::test]
async fn a_contact_that_bears_our_key_already_is_not_adopted_but_ours() {
    let world = World::new().await;
    let before = [("email", "ada@example.com"), ("hubferry_id", "u-1")];
    let id = world.sandbox.create("contacts", &before);
    world.accept(&ada("1", 1)).await;
    // As where many contacts are there already: looked for by its address before it is created.
    sqlx::query("UPDATE crm_record SET lookup = 'email_first', stage = 'resolve'")
        .execute(world.queue.pool())
        .await
        .unwrap();
    world.drain().await;
    let shown = record(&world).await;
    assert_eq!((&shown["hubspot_id"], &shown["adopted_at"]), (&json!(id), &Value::Null), "{shown}");
    world.accept(&verb("2", "deleted", 2)).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn an_adoption_goes_with_the_hubspot_record_through_merges_and_deletes() {
    let (world, id, _) = adopted().await;
    let bo = json!({ "email": "bo@example.com", "first_name": "Bo" });
    world.accept(&user("2", "u-2", "2026-01-01T10:00:00Z", bo)).await;
    world.drain().await;
    let contacts = world.sandbox.objects("contacts");
    let other = contacts.iter().find(|c| c.properties["hubferry_id"] == "u-2").unwrap().id.clone();
    // Whoever survives has the adopted one's values in it.
    world.sandbox.merge("contacts", &other, &id).expect("a survivor");
    for (n, who) in ["u-1", "u-2"].into_iter().enumerate() {
        let touch = json!({ "job_title": who });
        world.accept(&user(&format!("t{n}"), who, "2026-01-02T10:00:00Z", touch)).await;
        world.drain().await;
    }
    for (n, who) in ["u-1", "u-2"].into_iter().enumerate() {
        let time = format!("2026-01-{:02}T10:00:00Z", n + 3);
        world.accept(&event(&format!("d{n}"), "user.deleted", who, &time, json!({}))).await;
        world.drain().await;
        assert_eq!(world.sandbox.objects("contacts").len(), 1, "people's contact stays");
    }
    assert_eq!(world.calls("batch/archive"), 0);
    assert_eq!(world.only("contacts").get("hubferry_id").map_or("", String::as_str), "");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

/// A lost call has created a contact for `u-1`, before the address came that another contact has.
/// Answers the ids of both and the row that brought the address.
async fn created_unseen(world: &World) -> (String, String, String) {
    let theirs = world.sandbox.create("contacts", &[("email", "ada@example.com")]);
    let cut = ApplyThenFail { how: FailHow::Cut, status: 502, remaining: Some(1) };
    world.sandbox.set_faults(Faults { apply_then_fail: Some(cut), ..Faults::default() });
    let time = "2026-01-01T10:00:00Z";
    world.accept(&user("1", "u-1", time, json!({ "last_name": "Lovelace" }))).await;
    world.step().await;
    let created = world.sandbox.objects("contacts").into_iter().find(|c| c.id != theirs);
    let row = row_id(&world.accept(&ada("2", 2)).await, 0);
    world.advance(TimeDelta::minutes(2));
    (theirs, created.expect("what the lost call created").id, row)
}

#[tokio::test]
async fn what_a_lost_call_created_stays_ours_though_the_address_leads_elsewhere() {
    let world = World::new().await;
    let (theirs, created, row) = created_unseen(&world).await;
    world.drain().await;
    is_ours_and_conflicts(&world, &created, &theirs, &row).await;
}

#[tokio::test]
async fn what_a_lost_call_created_goes_with_the_delete_and_no_other() {
    let world = World::new().await;
    let (theirs, ..) = created_unseen(&world).await;
    while record(&world).await["hubspot_id"].is_null() {
        assert_ne!(world.step().await, Step::Idle, "it is linked");
    }
    world.accept(&verb("3", "deleted", 3)).await;
    world.drain().await;
    let left = world.sandbox.objects("contacts").into_iter().map(|contact| contact.id);
    assert_eq!(left.collect::<Vec<_>>(), [theirs]);
}

/// The same where the call is carried out only after the address was followed.
#[tokio::test]
async fn what_a_late_call_creates_is_ours_though_the_address_has_led_elsewhere() {
    let world = World::new().await;
    let theirs = world.sandbox.create("contacts", &[("email", "ada@example.com")]);
    let row = row_id(&world.accept(&ada("1", 1)).await, 0);
    while record(&world).await["adopted_at"].is_null() {
        assert_ne!(world.step().await, Step::Idle, "it is adopted by its address");
    }
    let late = [("hubferry_id", "u-1"), ("lastname", "Lovelace")];
    let created = world.sandbox.create("contacts", &late);
    world.drain().await;
    is_ours_and_conflicts(&world, &created, &theirs, &row).await;
}

/// `u-1` is linked to `created`, and `row` fails for the address that `theirs` has; as its hint says,
/// people merge the two and retry it.
async fn is_ours_and_conflicts(world: &World, created: &str, theirs: &str, row: &str) {
    let shown = record(world).await;
    let held = (&shown["hubspot_id"], &shown["adopted_at"]);
    assert_eq!(held, (&json!(created), &Value::Null), "{shown}");
    let failed = world.row(row).await;
    assert_eq!(failed["error"]["code"], "CONFLICT", "{failed}");
    let message = failed["error"]["message"].as_str().unwrap();
    assert!(message.contains(theirs), "names the contact that has the address: {message}");
    world.sandbox.merge("contacts", theirs, created).expect("a survivor");
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    assert_eq!(world.row(row).await["status"], "synced");
    let contact = world.only("contacts");
    let names = ["email", "firstname", "lastname", "hubferry_id"].map(|name| &contact[name]);
    assert_eq!(names, ["ada@example.com", "Ada", "Lovelace", "u-1"]);
}
