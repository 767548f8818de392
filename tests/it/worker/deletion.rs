//! Deletes and erasures.

use hubferry::queue::delivery::settlement::{Certainty, RowVerdict, Settlement};
use hubferry::queue::model::Reason;
use hubspot_sandbox::{ApplyThenFail, FailHow, Faults};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn ada(id: &str, day: u32) -> Value {
    let data = json!({ "email": "ada@example.com", "first_name": "Ada", "business_id": "b-1" });
    user(id, "u-1", &format!("2026-01-{day:02}T10:00:00Z"), data)
}

#[tokio::test]
async fn deletes_are_archived_in_batches() {
    let world = World::new().await;
    let events = |verb: &str, day: u32, data: Value| -> Value {
        (0..150)
            .map(|n| {
                let time = format!("2026-01-{day:02}T10:00:00Z");
                event(
                    &format!("{verb}{n}"),
                    &format!("business.{verb}"),
                    &format!("b-{n}"),
                    &time,
                    data.clone(),
                )
            })
            .collect()
    };
    world.accept(&events("created", 1, json!({ "name": "Business" }))).await;
    world.drain().await;
    world.accept(&events("deleted", 2, json!({}))).await;
    assert_eq!(world.drain().await, 4, "a look whether they are still their own, and the deletes");
    assert!(world.sandbox.objects("companies").is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 300);
    // A late update of before the delete changes nothing.
    let late =
        event("late", "business.updated", "b-1", "2026-01-01T12:00:00Z", json!({ "name": "Late" }));
    world.accept(&late).await;
    assert_eq!(world.drain().await, 0);
    assert!(world.sandbox.objects("companies").is_empty());
}

#[tokio::test]
async fn a_delete_of_what_a_lost_call_created_finds_and_archives_it() {
    let world = World::new().await;
    let lost = ApplyThenFail { how: FailHow::Cut, status: 502, remaining: Some(1) };
    world.sandbox.set_faults(Faults { apply_then_fail: Some(lost), ..Faults::default() });
    world.accept(&ada("1", 1)).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 1, "created, though we were not told");
    world.accept(&event("2", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.advance(chrono::TimeDelta::seconds(60));
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 2);
}

#[tokio::test]
async fn an_erasure_leaves_nothing_here_or_there_and_refuses_what_comes_later() {
    let world = World::new().await;
    let first = world.accept(&ada("1", 1)).await;
    world
        .accept(&event(
            "b",
            "business.created",
            "b-1",
            "2026-01-01T10:00:00Z",
            json!({ "name": "B" }),
        ))
        .await;
    world.drain().await;
    let erasure = event("2", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}));
    let answer = world.accept(&erasure).await;
    // From its arrival on, even before it is delivered.
    let (status, refused) = world.post(&ada("3", 3)).await;
    assert_eq!((status, refused["code"].as_str()), (422, Some("subject_erased")), "{refused}");
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.calls("gdpr-delete"), 1);
    let old = world.row(&row_id(&first, 0)).await;
    assert_eq!(old["payload"], Value::Null);
    assert_eq!(old["record"]["accepted"], json!({}));
    let dump: Vec<String> = sqlx::query_scalar(
        "SELECT e::text FROM event e UNION ALL SELECT r::text FROM crm_record r
         UNION ALL SELECT q::text FROM sync_queue q UNION ALL SELECT a::text FROM audit a
         UNION ALL SELECT t::text FROM attempt t UNION ALL SELECT c::text FROM hubspot_call c",
    )
    .fetch_all(world.queue.pool())
    .await
    .unwrap();
    assert!(dump.iter().all(|line| !line.contains("ada@") && !line.contains("Ada")), "{dump:?}");
    assert!(dump.iter().any(|line| line.contains("erase")), "an audit line");

    let (status, _) = world.admin("POST", "/records/contact/u-1/allow", None).await;
    assert_eq!(status, 200);
    let mut back = ada("4", 4);
    back["data"]["email"] = json!("ada.new@example.com");
    world.accept(&back).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["email"], "ada.new@example.com");
    assert_eq!(world.admin("POST", "/records/contact/u-1/allow", None).await.0, 404);
}

#[tokio::test]
async fn an_erasure_of_what_was_never_linked_here_asks_hubspot_by_our_key() {
    let world = World::new().await;
    world.sandbox.create("contacts", &[("email", "ada@example.com"), ("hubferry_id", "u-1")]);
    world.accept(&event("1", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    // And of what nobody ever knew: done.
    world.accept(&event("2", "user.erased", "u-9", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["synced"], 2);
}

#[tokio::test]
async fn what_is_newer_than_a_late_delete_and_creates_nothing_fails_and_does_not_wait_for_ever() {
    let world = World::new().await;
    world.accept(&ada("1", 1)).await;
    let newer = json!({ "job_title": "Countess" });
    let newer = world.accept(&user("2", "u-1", "2026-01-03T10:00:00Z", newer)).await;
    world.drain().await;
    // The delete lies between the two; what remains names nobody.
    world.accept(&event("3", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.row(&row_id(&newer, 0)).await["status"], "pending");
    world.advance(chrono::TimeDelta::hours(25));
    world.drain().await;
    let row = world.row(&row_id(&newer, 0)).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("MISSING_ON_CREATE")),
        "{row}"
    );
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
    // With a name it can be created, and a retry brings the rest.
    let name = json!({ "first_name": "Ada" });
    world.accept(&user("4", "u-1", "2026-01-04T10:00:00Z", name)).await;
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!((&*contact["firstname"], &*contact["jobtitle"]), ("Ada", "Countess"));
    assert_eq!(contact.get("email"), None, "older than the delete");
    assert_eq!(world.get("/status").await["counts"]["synced"], 4);
}

#[tokio::test]
async fn a_delete_whose_call_failed_is_sent_again() {
    use hubspot_sandbox::Outage;
    let world = World::new().await;
    world.accept(&ada("1", 1)).await;
    world.drain().await;
    let outage = Outage { status: 500, remaining: Some(1), html: false };
    world.sandbox.set_faults(Faults { outage: Some(outage), ..Faults::default() });
    let delete = event("2", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}));
    let answer = world.accept(&delete).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "retry");
    world.advance(chrono::TimeDelta::seconds(60));
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    // A delete that is older than the one that was done costs nothing, and takes nothing along.
    let mut back = ada("3", 5);
    back["data"]["email"] = json!("again@example.com");
    world.accept(&back).await;
    world.drain().await;
    let late = event("4", "user.deleted", "u-1", "2026-01-01T12:00:00Z", json!({}));
    world.accept(&late).await;
    assert_eq!(world.drain().await, 0);
    assert_eq!(world.only("contacts")["email"], "again@example.com");
}

#[tokio::test]
async fn a_reply_that_does_not_speak_of_a_record_is_no_proof_that_it_is_gone() {
    use hubspot_sandbox::DropInputs;
    let world = World::new().await;
    world.accept(&ada("1", 1)).await;
    world.drain().await;
    let drop_inputs = DropInputs { every: Some(1), keys: Vec::new(), remaining: Some(1) };
    world.sandbox.set_faults(Faults { drop_inputs: Some(drop_inputs), ..Faults::default() });
    let delete = event("2", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}));
    let answer = world.accept(&delete).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "retry");
    world.advance(chrono::TimeDelta::seconds(60));
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn who_was_erased_and_comes_back_by_a_late_call_is_erased_again() {
    let world = World::new().await;
    world.accept(&ada("1", 1)).await;
    let slow = world.lease("contact").await;
    world.advance(chrono::TimeDelta::seconds(21));
    world.accept(&event("2", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    // The slow holder's call reaches HubSpot only now, and then it settles.
    let id =
        world.sandbox.create("contacts", &[("email", "ada@example.com"), ("hubferry_id", "u-1")]);
    let mut late = Settlement::release(slow.records[0].id, slow.records[0].doubt);
    late.certainty = Certainty::Certain;
    let now = world.queue.now().await.unwrap();
    assert_eq!(world.queue.settle(&slow.lease, &[late], None, now).await.unwrap().fenced, 1);
    world.sandbox.clear_calls();
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!((world.calls("gdpr-delete"), world.calls("batch/archive")), (1, 0), "{id}");
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn who_is_being_erased_is_not_allowed_before_the_erasure_has_ended() {
    let world = World::new().await;
    world.accept(&ada("1", 1)).await;
    world.drain().await;
    let erasure = event("2", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}));
    let erasure = row_id(&world.accept(&erasure).await, 0);
    let allow = async || {
        let (status, answer) = world.admin("POST", "/records/contact/u-1/allow", None).await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    // Accepted now, an event would lose its payload to the erasure that is still to come.
    assert_eq!(allow().await, (409, "erasure_open".into()));
    assert_eq!(world.post(&ada("3", 3)).await.0, 422, "still refused");
    // Nor while a worker is at it, nor while it failed and may be retried.
    let slow = world.lease("contact").await;
    assert_eq!(allow().await, (409, "erasure_open".into()));
    let mut failed = Settlement::release(slow.records[0].id, slow.records[0].doubt);
    let reason = Reason {
        class: "rejected",
        code: "VALIDATION_ERROR".into(),
        property: None,
        message: "HubSpot would not".into(),
        hint: None,
        correlation_id: None,
        http_status: Some(400),
    };
    failed.rows = vec![(erasure.parse().unwrap(), RowVerdict::Failed(reason))];
    let now = world.queue.now().await.unwrap();
    world.queue.settle(&slow.lease, &[failed], None, now).await.unwrap();
    assert_eq!(allow().await, (409, "erasure_open".into()));
    world.admin("POST", &format!("/queue/{erasure}/retry"), None).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(allow().await.0, 200);
    let mut back = ada("4", 4);
    back["data"]["email"] = json!("ada.new@example.com");
    let back = row_id(&world.accept(&back).await, 0);
    world.drain().await;
    let row = world.row(&back).await;
    assert_eq!((&row["status"], row["payload"].is_object()), (&json!("synced"), true), "{row}");
}
