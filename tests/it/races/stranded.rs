//! Open rows always have a record that is due or leased, also where a merge moves them.

use chrono::TimeDelta;
use hubferry::queue::model::Batch;
use hubferry::queue::retry::OneRow;
use hubferry::queue::settle::{Certainty, Settlement};
use hubferry::sandbox::{Faults, Outage};
use serde_json::{Value, json};

use crate::support::{World, event, row_id, user};

/// Waits until `count` sessions of this database wait for a lock of a row.
async fn blocked(world: &World, count: i64) {
    loop {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        )
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
        if waiting >= count {
            return;
        }
        tokio::task::yield_now().await;
    }
}

/// Two linked contacts, of which HubSpot has made the first one; a failed row of the second, which is
/// leased by somebody who has learned of it; and what he is about to settle.
async fn a_merge_about_to_be_noticed(world: &World) -> (Batch, Settlement, String) {
    let one = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    let two = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    world.accept(&json!([one, two])).await;
    world.drain().await;
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
    noticed.link = Some(Some(survivor));
    noticed.relinks = true;
    noticed.certainty = Certainty::Certain;
    (batch, noticed, row)
}

#[tokio::test]
async fn a_failed_row_that_a_merge_moves_while_a_person_retries_it_is_sent() {
    let world = World::new().await;
    let (batch, noticed, row) = a_merge_about_to_be_noticed(&world).await;
    let now = world.queue.now().await.unwrap();
    let mut gate = world.queue.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM crm_record WHERE external_id = 'u-2' FOR NO KEY UPDATE")
        .execute(&mut *gate)
        .await
        .unwrap();
    let (queue, id) = (world.queue.clone(), row.parse().unwrap());
    let settles = async {
        world.queue.settle(&batch.lease, &[noticed], None, now).await.unwrap();
    };
    let retries = async {
        blocked(&world, 1).await;
        // It finds the row at the record that is merged away before it gets that record's lock.
        queue.retry_one(id, "a person", now).await.unwrap()
    };
    let opens = async {
        blocked(&world, 2).await;
        gate.rollback().await.unwrap();
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
async fn a_row_that_a_merge_moves_while_an_outage_gives_it_back_is_sent() {
    let world = World::new().await;
    let (batch, noticed, row) = a_merge_about_to_be_noticed(&world).await;
    let now = world.queue.now().await.unwrap();
    let mut gate = world.queue.pool().begin().await.unwrap();
    sqlx::query("SELECT id FROM crm_record WHERE external_id = 'u-2' FOR NO KEY UPDATE")
        .execute(&mut *gate)
        .await
        .unwrap();
    let settles = async {
        world.queue.settle(&batch.lease, &[noticed], None, now).await.unwrap();
    };
    let trips = async {
        blocked(&world, 1).await;
        let since = now - TimeDelta::hours(1);
        world.queue.trip(since, now + TimeDelta::seconds(120), now).await.unwrap()
    };
    let opens = async {
        blocked(&world, 2).await;
        gate.rollback().await.unwrap();
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
