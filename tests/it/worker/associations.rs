//! Associations: made once both ends stand, never twice, dropped when the slot's target changes.

use hubspot_sandbox::{ApplyThenFail, FailHow, Faults};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

fn business(id: &str) -> Value {
    event(&format!("e-{id}"), "business.created", id, "2026-01-01T09:00:00Z", json!({ "name": id }))
}

/// The names of the companies that the only contact is associated with.
fn companies_of(world: &World) -> Vec<String> {
    let companies = world.sandbox.objects("companies");
    let mut names: Vec<String> = world
        .sandbox
        .associations()
        .iter()
        .filter(|a| a.from_type == "contacts" && a.to_type == "companies")
        .filter_map(|a| companies.iter().find(|c| c.id == a.to_id))
        .map(|c| c.properties["name"].clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

#[tokio::test]
async fn a_slot_whose_target_changes_drops_the_old_pair_and_null_drops_the_last() {
    let world = World::new().await;
    world.accept(&json!([business("b-1"), business("b-2")])).await;
    let at = |time: &str, id: &str, target: Value| {
        user(id, "u-1", time, json!({ "email": "a@example.com", "business_id": target }))
    };
    world.accept(&at("2026-01-01T10:00:00Z", "1", json!("b-1"))).await;
    world.drain().await;
    assert_eq!(companies_of(&world), ["b-1"]);
    world.accept(&at("2026-01-02T10:00:00Z", "2", json!("b-2"))).await;
    world.drain().await;
    assert_eq!(companies_of(&world), ["b-2"]);
    // Older news changes nothing, and costs nothing.
    world.sandbox.clear_calls();
    world.accept(&at("2026-01-01T11:00:00Z", "3", json!("b-1"))).await;
    world.drain().await;
    assert_eq!(world.sandbox.calls().len(), 0);
    world.accept(&at("2026-01-03T10:00:00Z", "4", Value::Null)).await;
    world.drain().await;
    assert!(companies_of(&world).is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 6);
}

#[tokio::test]
async fn a_pair_whose_other_end_is_missing_is_parked_and_made_as_soon_as_it_can_be() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "business_id": "b-1" });
    let answer = world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(row["status"], "synced");
    assert_eq!(row["record"]["associations"][0]["state"], "parked");
    assert_eq!(world.get("/status").await["parked_associations"], 1);
    world.accept(&business("b-1")).await;
    world.drain().await;
    assert_eq!(companies_of(&world), ["b-1"]);
    assert_eq!(world.calls("associations"), 1);
    let row = world.row(&row_id(&answer, 0)).await;
    assert_eq!(row["record"]["associations"][0]["state"], "made");
}

#[tokio::test]
async fn a_pair_whose_reply_was_lost_is_dropped_when_the_target_changes_meanwhile() {
    let world = World::new().await;
    world.accept(&json!([business("b-1"), business("b-2")])).await;
    world
        .accept(&user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" })))
        .await;
    world.drain().await;
    let lost = ApplyThenFail { how: FailHow::Status, status: 502, remaining: Some(1) };
    world.sandbox.set_faults(Faults { apply_then_fail: Some(lost), ..Faults::default() });
    let to = |id: &str, time: &str, target: &str| {
        user(id, "u-1", time, json!({ "business_id": target }))
    };
    world.accept(&to("2", "2026-01-02T10:00:00Z", "b-1")).await;
    world.drain().await;
    assert_eq!(companies_of(&world), ["b-1"], "made, though the reply said nothing of it");
    world.accept(&to("3", "2026-01-03T10:00:00Z", "b-2")).await;
    world.advance(chrono::TimeDelta::seconds(60));
    world.drain().await;
    assert_eq!(companies_of(&world), ["b-2"]);
    assert_eq!(world.get("/status").await["counts"]["synced"], 5);
}

#[tokio::test]
async fn a_label_that_a_person_put_there_survives() {
    let world = World::new().await;
    world.accept(&business("b-1")).await;
    let to = |id: &str, time: &str, target: Value| {
        user(id, "u-1", time, json!({ "email": "a@example.com", "business_id": target }))
    };
    world.accept(&to("1", "2026-01-01T10:00:00Z", json!("b-1"))).await;
    world.drain().await;
    let (contact, company) =
        (&world.sandbox.objects("contacts")[0], &world.sandbox.objects("companies")[0]);
    let before = world.sandbox.associations();
    assert!(
        before.iter().any(|a| a.from_id == contact.id && a.to_id == company.id && a.type_id == 279)
    );
    world.accept(&to("2", "2026-01-02T10:00:00Z", Value::Null)).await;
    world.drain().await;
    let call =
        world.sandbox.calls().into_iter().find(|c| c.path.contains("archive")).expect("a drop");
    assert!(call.path.ends_with("labels/archive"), "only our own types are dropped: {}", call.path);
}
