//! Open rows always have a record that is due or leased, also where a merge moves them.

use chrono::TimeDelta;
use hubferry::queue::actions::retry::OneRow;
use hubferry::queue::delivery::settlement::{Certainty, Link, Settlement};
use hubferry::queue::model::Batch;
use hubferry::queue::views::filter::RowFilter;
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection};

use crate::support::{World, event, row_id, user};

/// Two linked contacts.
async fn two_contacts(world: &World) {
    let one = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    let two = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    world.accept(&json!([one, two])).await;
    world.drain().await;
}

/// A row of the second contact that has failed in an outage.
async fn failed_in_an_outage(world: &World) -> String {
    let titled = user("3", "u-2", "2026-01-02T10:00:00Z", json!({ "job_title": "Owner" }));
    let row = row_id(&world.accept(&titled).await, 0);
    let down = Outage { status: 500, remaining: None, html: false };
    world.sandbox.set_faults(Faults { outage: Some(down), ..Faults::default() });
    for seconds in [60, 120, 240, 480] {
        world.drain().await;
        world.advance(TimeDelta::seconds(seconds));
    }
    assert_eq!(world.row(&row).await["status"], "failed");
    world.sandbox.set_faults(Faults::default());
    row
}

/// A row of a contact that HubSpot rejects: its address is another contact's.
async fn rejected(world: &World, subject: &str) -> String {
    let (holder, address) = (format!("not-{subject}"), format!("{subject}@example.com"));
    world.sandbox.create("contacts", &[("email", &address), ("hubferry_id", &holder)]);
    let moved = user(&holder, subject, "2026-01-02T10:00:00Z", json!({ "email": address }));
    let row = row_id(&world.accept(&moved).await, 0);
    world.drain().await;
    assert_eq!(world.row(&row).await["status"], "failed");
    row
}

/// HubSpot merges the two contacts. The second one is leased by somebody who has learned of it; and
/// what he is about to settle.
async fn a_merge_about_to_be_noticed(world: &World) -> (Batch, Settlement) {
    let link = |key: &str| {
        let contacts = world.sandbox.objects("contacts");
        contacts.iter().find(|c| c.properties["hubferry_id"] == key).expect("a contact").id.clone()
    };
    let survivor = world.sandbox.merge("contacts", &link("u-1"), &link("u-2")).expect("a survivor");
    sqlx::query("UPDATE crm_record SET hubspot_id = $1 WHERE external_id = 'u-1'")
        .bind(&survivor)
        .execute(world.queue.pool())
        .await
        .unwrap();
    world.accept(&user("4", "u-2", "2026-01-03T10:00:00Z", json!({ "first_name": "Ada" }))).await;
    let batch = world.lease("contact").await;
    let record = &batch.records[0];
    let mut noticed = Settlement::release(record.id, record.doubt);
    noticed.link = Link::Moved(survivor);
    noticed.certainty = Certainty::Certain;
    (batch, noticed)
}

/// Holds the record of a contact, on a connection that is not the pool's, until it is closed.
async fn hold(world: &World, subject: &str) -> PgConnection {
    let mut gate = world.database.connect().await.unwrap();
    sqlx::raw_sql("BEGIN").execute(&mut gate).await.unwrap();
    sqlx::query("SELECT id FROM crm_record WHERE external_id = $1 FOR NO KEY UPDATE")
        .bind(subject)
        .execute(&mut gate)
        .await
        .unwrap();
    gate
}

#[tokio::test]
async fn a_failed_row_that_a_merge_moves_while_a_person_retries_it_is_sent() {
    let world = World::new().await;
    two_contacts(&world).await;
    let row = failed_in_an_outage(&world).await;
    let (batch, noticed) = a_merge_about_to_be_noticed(&world).await;
    let now = world.queue.now().await.unwrap();
    let gate = hold(&world, "u-2").await;
    let (queue, id) = (world.queue.clone(), row.parse().unwrap());
    let settles = async {
        world.queue.settle(&batch.lease, &[noticed], None, now).await.unwrap();
    };
    let retries = async {
        world.blocked(1).await;
        // It finds the row at the record that is merged away before it gets that record's lock.
        queue.retry_one(id, "a person", now).await.unwrap()
    };
    let opens = async {
        world.blocked(2).await;
        gate.close().await.unwrap();
    };
    let (_, retried, ()) = tokio::join!(settles, retries, opens);
    assert_eq!(retried, OneRow::Done);
    let stranded = world.queue.unstrand(now).await.unwrap();
    assert_eq!(stranded, 0, "the retry has made the record due that the row is at now");
    world.drain().await;
    assert_eq!(world.row(&row).await["status"], "synced");
    assert_eq!(world.only("contacts")["jobtitle"], "Owner");
}

#[tokio::test]
async fn a_rejected_row_that_is_retried_after_its_survivor_went_out_is_not_stranded() {
    let world = World::new().await;
    // Older than the two, so its record is locked before theirs.
    let other = user("0", "u-0", "2026-01-01T10:00:00Z", json!({ "email": "o@example.com" }));
    world.accept(&other).await;
    two_contacts(&world).await;
    let rows = [rejected(&world, "u-0").await, rejected(&world, "u-2").await];
    let (batch, noticed) = a_merge_about_to_be_noticed(&world).await;
    let now = world.queue.now().await.unwrap();
    let gate = hold(&world, "u-0").await;
    let (queue, ids) = (world.queue.clone(), rows.map(|row| row.parse().unwrap()));
    let both = RowFilter { ids: Some(ids.to_vec()), ..RowFilter::default() };
    // It finds both rows and waits for the first record.
    let retries = async { queue.retry_failed(&both, "a person", now).await.unwrap() };
    // Meanwhile the second row moves, and all that the survivor owes goes out: only the retry itself
    // can make the survivor due again.
    let merges = async {
        world.blocked(1).await;
        world.queue.settle(&batch.lease, &[noticed], None, now).await.unwrap();
        world.drain().await;
        gate.close().await.unwrap();
    };
    let (retried, ()) = tokio::join!(retries, merges);
    assert_eq!(retried, 2);
    assert_eq!(world.queue.unstrand(now).await.unwrap(), 0);
}

#[tokio::test]
async fn a_row_that_a_merge_moves_while_an_outage_gives_it_back_is_sent() {
    let world = World::new().await;
    two_contacts(&world).await;
    let row = failed_in_an_outage(&world).await;
    let (batch, noticed) = a_merge_about_to_be_noticed(&world).await;
    let now = world.queue.now().await.unwrap();
    let gate = hold(&world, "u-2").await;
    let settles = async {
        world.queue.settle(&batch.lease, &[noticed], None, now).await.unwrap();
    };
    let trips = async {
        world.blocked(1).await;
        let since = now - TimeDelta::hours(1);
        world.queue.trip(since, now + TimeDelta::seconds(120), now).await.unwrap()
    };
    let opens = async {
        world.blocked(2).await;
        gate.close().await.unwrap();
    };
    tokio::join!(settles, trips, opens);
    assert_eq!(world.queue.unstrand(now).await.unwrap(), 0);
    world.advance(TimeDelta::minutes(5));
    for _ in 0..4 {
        world.drain().await;
        world.advance(TimeDelta::minutes(3));
    }
    assert_eq!(world.row(&row).await["status"], "synced");
}

#[tokio::test]
async fn open_rows_whose_record_nobody_would_take_are_found_and_sent() {
    let world = World::new().await;
    let business = |n: usize| {
        let data = json!({ "name": format!("B {n}") });
        event(
            &format!("b-{n}"),
            "business.created",
            &format!("b-{n}"),
            "2026-01-01T10:00:00Z",
            data,
        )
    };
    // More than one look goes through.
    world.accept(&(0..1_300).map(business).collect::<Value>()).await;
    // What a bug would do.
    sqlx::query(
        "UPDATE crm_record SET due_at = NULL, stage = NULL, rank = NULL
         WHERE external_id IN ('b-3', 'b-700', 'b-1299')",
    )
    .execute(world.queue.pool())
    .await
    .unwrap();
    let now = world.queue.now().await.unwrap();
    let mut found = Vec::new();
    for _ in 0..4 {
        found.push(world.queue.unstrand(now).await.unwrap());
    }
    assert_eq!(found, [1, 1, 1, 0], "each look goes on behind the last one, and begins again");
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["synced"], 1_300);
}
