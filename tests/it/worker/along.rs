//! What failed by HubSpot's fault goes along when its record next goes out: HubSpot may hold it already,
//! and nothing older may take its place.

use chrono::TimeDelta;
use hubspot_sandbox::{ApplyThenFail, FailHow, Faults, Outage};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn ada(id: &str, day: u32, data: Value) -> Value {
    user(id, "u-1", &format!("2026-01-{day:02}T10:00:00Z"), data)
}

fn down() -> Faults {
    let outage = Outage { status: 503, remaining: None, html: false };
    Faults { outage: Some(outage), ..Faults::default() }
}

/// Lets the row `id` fail for good under `faults`, and then mends HubSpot.
async fn fails(world: &World, faults: Faults, id: &str) {
    world.sandbox.set_faults(faults);
    for seconds in [60, 120, 240, 0] {
        world.drain().await;
        world.advance(TimeDelta::seconds(seconds));
    }
    let row = world.row(id).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("failed"), &json!(3)), "{row}");
    world.sandbox.set_faults(Faults::default());
}

#[tokio::test]
async fn an_older_value_does_not_replace_one_that_hubspot_took_and_denied() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "job_title": "First" });
    world.accept(&ada("1", 1, data)).await;
    world.drain().await;
    let newest = world.accept(&ada("3", 3, json!({ "job_title": "Third" }))).await;
    let how = ApplyThenFail { how: FailHow::Status, status: 502, remaining: None };
    let denies = Faults { apply_then_fail: Some(how), ..Faults::default() };
    fails(&world, denies, &row_id(&newest, 0)).await;
    assert_eq!(world.only("contacts")["jobtitle"], "Third");

    let older = world.accept(&ada("2", 2, json!({ "job_title": "Second" }))).await;
    world.advance(TimeDelta::hours(1));
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Third");
    for answer in [newest, older] {
        let row = world.row(&row_id(&answer, 0)).await;
        assert_eq!((&row["status"], &row["error"]), (&json!("synced"), &Value::Null), "{row}");
    }
}

#[tokio::test]
async fn a_doubt_is_settled_with_the_value_that_failed_and_not_with_the_one_before() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "job_title": "First" });
    world.accept(&ada("1", 1, data)).await;
    world.drain().await;
    let newest = world.accept(&ada("2", 2, json!({ "job_title": "Second" }))).await;
    let how = ApplyThenFail { how: FailHow::Cut, status: 502, remaining: None };
    let cuts = Faults { apply_then_fail: Some(how), ..Faults::default() };
    fails(&world, cuts, &row_id(&newest, 0)).await;
    world.advance(TimeDelta::hours(1));
    world.drain().await;
    assert_eq!(world.only("contacts")["jobtitle"], "Second");
    assert_eq!(world.row(&row_id(&newest, 0)).await["status"], "synced");
}

#[tokio::test]
async fn what_failed_before_it_was_created_goes_along_with_what_comes_next() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "business_id": "b-1" });
    let first = world.accept(&ada("1", 1, data)).await;
    let id = row_id(&first, 0);
    fails(&world, down(), &id).await;
    world.advance(TimeDelta::days(1));
    assert_eq!(world.drain().await, 0, "the clock tries nothing more");

    // It fails once more, with the next row: that is not counted.
    world.sandbox.set_faults(down());
    let next = world.accept(&ada("2", 2, json!({ "job_title": "Countess" }))).await;
    world.drain().await;
    let row = world.row(&id).await;
    assert_eq!((&row["status"], &row["retry_count"]), (&json!("failed"), &json!(3)));
    assert_eq!(row["attempts"].as_array().unwrap().len(), 4);
    assert_eq!(world.row(&row_id(&next, 0)).await["status"], "retry");

    world.sandbox.set_faults(Faults::default());
    let company =
        event("3", "business.created", "b-1", "2026-01-01T10:00:00Z", json!({ "name": "B" }));
    world.accept(&company).await;
    world.advance(TimeDelta::hours(1));
    world.drain().await;
    let contact = world.only("contacts");
    assert_eq!((&*contact["firstname"], &*contact["jobtitle"]), ("Ada", "Countess"));
    assert_eq!(world.get("/status").await["counts"]["synced"], 3);
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn what_was_rejected_or_discarded_does_not_go_along() {
    let world = World::new().await;
    let deal = |id: &str, day: u32, data: Value| {
        event(id, "milestone.updated", "m-1", &format!("2026-01-{day:02}T10:00:00Z"), data)
    };
    let good = json!({ "name": "Good", "project": null, "status": "paid",
                       "amount": { "value": "1.00", "currency": "EUR" } });
    let bad = json!({ "amount": { "value": "2.00", "currency": "GBP" } });
    let answer = world.accept(&json!([deal("1", 1, good), deal("2", 2, bad)])).await;
    world.drain().await;
    let rejected = row_id(&answer, 1);
    let data = json!({ "description": "discarded" });
    let discarded = row_id(&world.accept(&deal("3", 3, data)).await, 0);
    fails(&world, down(), &discarded).await;
    world.admin("POST", &format!("/queue/{discarded}/discard"), Some(json!({}))).await;

    world.accept(&deal("4", 4, json!({ "name": "Better", "project": null }))).await;
    world.advance(TimeDelta::hours(1));
    world.drain().await;
    let held = world.only("deals");
    assert_eq!((&*held["dealname"], &*held["amount"]), ("Better", "1.00"));
    assert_eq!(held.get("description"), None);
    for id in [rejected, discarded] {
        assert_eq!(world.row(&id).await["status"], "failed");
    }
}
