//! The database is new, and HubSpot is full: what it has is found by our key.

use serde_json::{Value, json};

use crate::support::{World, event, row_id};

fn update(id: &str, subject: &str, resolution: &str) -> Value {
    let data = json!({ "resolution": resolution });
    event(id, "dispute.updated", subject, "2026-01-01T10:00:00Z", data)
}

/// A ticket that HubSpot has.
fn there(world: &World, subject: &str, key: &str) {
    let properties = [("subject", subject), ("hs_pipeline_stage", "1"), ("hubferry_id", key)];
    world.sandbox.create("tickets", &properties);
}

/// Calls of the log whose path ends so.
fn calls(world: &World, path: &str) -> usize {
    world.calls(&format!("tickets/batch/{path}"))
}

#[tokio::test]
async fn what_hubspot_has_does_not_wait_for_the_event_that_creates_it() {
    let world = World::new().await;
    for n in 0..120 {
        let subject = format!("Dispute {n}");
        let key = format!("d-{n}");
        there(&world, &subject, &key);
    }
    let events: Vec<Value> =
        (0..121).map(|n| update(&format!("e-{n}"), &format!("d-{n}"), "done")).collect();
    let answer = world.accept(&json!(events)).await;
    world.drain().await;
    assert_eq!((calls(&world, "read"), calls(&world, "upsert")), (2, 0), "a hundred a call");
    let written = world.sandbox.objects("tickets");
    assert_eq!(written.len(), 120);
    assert!(written.iter().all(|ticket| ticket.properties["hubferry_resolution"] == "done"));
    let waits = world.row(&row_id(&answer, 120)).await;
    assert_eq!(waits["status"], "pending");
    assert!(waits["waiting_for"].as_str().is_some_and(|for_| for_.contains("subject")), "{waits}");

    // It is not looked for again with each event, and is created once that can be.
    world.accept(&update("again", "d-120", "done again")).await;
    world.drain().await;
    assert_eq!(calls(&world, "read"), 2);
    let data = json!({ "title": "Broken", "status": "open", "raised_by_user_id": "u-9" });
    world.accept(&event("new", "dispute.created", "d-120", "2026-01-01T09:00:00Z", data)).await;
    world.drain().await;
    assert_eq!((calls(&world, "read"), calls(&world, "upsert")), (2, 1));
    assert_eq!(world.get("/status").await["counts"]["synced"], 123);
}

#[tokio::test]
async fn a_person_who_retries_has_it_looked_for_once_more() {
    let world = World::new().await;
    let answer = world.accept(&update("1", "d-1", "done")).await;
    world.drain().await;
    world.advance(chrono::TimeDelta::hours(25));
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["error"]["code"], "MISSING_ON_CREATE");
    there(&world, "Back again", "d-1");
    world.admin("POST", "/retry", Some(json!({}))).await;
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");
    let ticket = world.only("tickets");
    let held = (&*ticket["subject"], &*ticket["hubferry_resolution"]);
    assert_eq!(held, ("Back again", "done"));
}

#[tokio::test]
async fn a_delete_of_what_hubspot_has_and_is_not_linked_here_archives_it() {
    let world = World::new().await;
    there(&world, "There", "d-1");
    assert_eq!(world.sandbox.objects("tickets").len(), 1);
    let delete =
        |id: &str, of: &str| event(id, "dispute.deleted", of, "2026-01-02T10:00:00Z", json!({}));
    world.accept(&json!([delete("1", "d-1"), delete("2", "d-2")])).await;
    world.drain().await;
    assert!(world.sandbox.objects("tickets").is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 2);
}
