//! What happens between two steps of somebody else: each test plays one interleaving by hand.

mod stranded;

use chrono::TimeDelta;
use hubferry::queue::delivery::settlement::{Certainty, Link, Settlement, Wait};
use hubferry::queue::model::Batch;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;

use crate::support::{World, event, row_id, user};

fn ada(id: &str, day: u32, data: Value) -> Value {
    user(id, "u-1", &format!("2026-01-{day:02}T10:00:00Z"), data)
}

#[tokio::test]
async fn what_a_record_waits_for_may_arrive_while_it_is_leased() {
    let world = World::new().await;
    let update =
        event("1", "dispute.updated", "d-1", "2026-01-02T10:00:00Z", json!({ "resolution": "x" }));
    world.accept(&update).await;
    let batch = world.lease("ticket").await;
    // The holder finds the subject missing; meanwhile it arrives.
    let data = json!({ "title": "Broken", "status": "open", "raised_by_user_id": "u-9" });
    world.accept(&event("2", "dispute.created", "d-1", "2026-01-01T10:00:00Z", data)).await;
    let record = &batch.records[0];
    let now = world.queue.now().await.unwrap();
    let mut waits = Settlement::release(record.id, record.doubt);
    let until = now + TimeDelta::hours(24);
    waits.wait = Some(Wait { until, reason: "subject".into(), loaded: 1 });
    world.queue.settle(&batch.lease, &[waits], None, now).await.unwrap();
    world.drain().await;
    assert_eq!(world.only("tickets")["hubferry_resolution"], "x");
}

#[tokio::test]
async fn a_holder_that_was_fenced_out_is_doubted_even_by_one_who_has_read_the_reapers_doubt() {
    let world = World::new().await;
    world.accept(&ada("1", 1, json!({ "email": "a@example.com" }))).await;
    let slow = world.lease("contact").await;
    world.advance(TimeDelta::seconds(21));
    hubferry::worker::janitor::tick(&world.queue).await.unwrap();
    let next = world.lease("contact").await;
    assert_ne!(next.records[0].doubt, 0, "the reaper's mark");
    // The slow one's call ends now, after the next one's has been sent.
    let settle = async |batch: &Batch| {
        let mut done = Settlement::release(batch.records[0].id, batch.records[0].doubt);
        done.certainty = Certainty::Certain;
        done.link = Link::Set("77".into());
        let now = world.queue.now().await.unwrap();
        world.queue.settle(&batch.lease, &[done], None, now).await.unwrap()
    };
    assert_eq!(settle(&slow).await.fenced, 1);
    assert_eq!(settle(&next).await.records, 1);
    let doubt: i64 = sqlx::query_scalar("SELECT doubt FROM crm_record")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_ne!(doubt, 0, "HubSpot may hold what the slow one wrote last");
}

#[tokio::test]
async fn ten_erasures_need_no_lease_to_run_out() {
    let world = World::new().await;
    let each = |verb: &str, day: u32, data: fn(usize) -> Value| -> Value {
        (0..10)
            .map(|n| {
                let time = format!("2026-01-{day:02}T10:00:00Z");
                event(
                    &format!("{verb}-{n}"),
                    &format!("user.{verb}"),
                    &format!("u-{n}"),
                    &time,
                    data(n),
                )
            })
            .collect()
    };
    world.accept(&each("created", 1, |n| json!({ "email": format!("u{n}@example.com") }))).await;
    world.drain().await;
    world.accept(&each("erased", 2, |_| json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 20);
}

#[tokio::test]
async fn of_two_users_who_meet_one_unknown_contact_only_one_adopts_it() {
    let world = World::new().await;
    world.sandbox.create("contacts", &[("email", "ada@example.com")]);
    let one = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "ada@example.com" }));
    let two = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "ada@example.com" }));
    let answer = world.accept(&json!([one, two])).await;
    world.drain().await;
    let mut statuses = Vec::new();
    for index in 0..2 {
        statuses
            .push(world.row(&row_id(&answer, index)).await["status"].as_str().unwrap().to_owned());
    }
    statuses.sort();
    assert_eq!(statuses, ["failed", "synced"]);
    assert_eq!(world.sandbox.objects("contacts").len(), 1);
}

#[tokio::test]
async fn deleting_one_of_two_that_people_merged_leaves_the_survivor_alone() {
    let world = World::new().await;
    let one = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    let two = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    world.accept(&json!([one, two])).await;
    world.drain().await;
    let ids: Vec<String> = world.sandbox.objects("contacts").into_iter().map(|c| c.id).collect();
    world.sandbox.merge("contacts", &ids[0], &ids[1]).expect("a survivor");
    let touch = |id: &str, subject: &str| {
        user(id, subject, "2026-01-02T10:00:00Z", json!({ "job_title": subject }))
    };
    world.accept(&json!([touch("3", "u-1"), touch("4", "u-2")])).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 1, "no duplicate comes of a merge");
    // Both go on as one: the newest value of either, under one key that stays.
    let key = world.only("contacts")["hubferry_id"].clone();
    let other = if key == "u-1" { "u-2" } else { "u-1" };
    let titled = |id: &str, subject: &str, day: u32, title: &str| {
        user(id, subject, &format!("2026-01-{day:02}T10:00:00Z"), json!({ "job_title": title }))
    };
    world.sandbox.clear_calls();
    world.accept(&json!([titled("5", other, 4, "Newest"), titled("6", &key, 3, "Older")])).await;
    assert_eq!(world.drain().await, 1);
    let held = world.only("contacts");
    assert_eq!((held["jobtitle"].as_str(), held["hubferry_id"].as_str()), ("Newest", key.as_str()));
    world.accept(&event("7", "user.deleted", other, "2026-01-05T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 1, "the survivor stays");
    world.accept(&event("8", "user.deleted", &key, "2026-01-06T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.get("/status").await["counts"]["synced"], 8);
}

#[tokio::test]
async fn one_pair_that_hubspot_refuses_as_a_whole_does_not_take_the_others_along() {
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
    world.accept(&(0..40).map(business).collect::<Value>()).await;
    world.drain().await;
    let contact = |n: usize| {
        let data = json!({ "email": format!("u{n}@example.com"), "business_id": format!("b-{n}") });
        user(&format!("u-{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)
    };
    // One company vanishes in HubSpot, unknown to us, before the pairs are made.
    let gone = world
        .sandbox
        .objects("companies")
        .into_iter()
        .find(|c| c.properties["name"] == "B 7")
        .unwrap();
    world.sandbox.archive("companies", &gone.id);
    let answer = world.accept(&(0..40).map(contact).collect::<Value>()).await;
    world.drain().await;
    let linked = world.sandbox.associations();
    let linked = linked.iter().filter(|a| a.from_type == "contacts" && a.type_id == 279).count();
    assert_eq!(linked, 39);
    assert_eq!(world.row(&row_id(&answer, 7)).await["status"], "failed");
    // With the company back under another id, the pair is made after all.
    let touch = event(
        "again",
        "business.updated",
        "b-7",
        "2026-01-02T10:00:00Z",
        json!({ "name": "B 7 again" }),
    );
    world.accept(&touch).await;
    world.drain().await;
    let linked = world.sandbox.associations();
    let linked = linked.iter().filter(|a| a.from_type == "contacts" && a.type_id == 279).count();
    assert_eq!(linked, 40);
}

#[tokio::test]
async fn another_integration_is_left_its_share_and_a_smaller_limit_is_kept() {
    use crate::support::Setup;
    use hubspot_sandbox::{Faults, Settings};
    let sandbox = Settings { limit_per_10s: 30, ..Settings::default() };
    let world = World::with(Setup { sandbox, prepared: false, ..Setup::default() }).await;
    world.sandbox.define_property("contacts", &json!({ "name": "hubferry_id", "label": "id",
        "type": "string", "fieldType": "text", "groupName": "contactinformation", "hasUniqueValue": true }));
    world.sandbox.set_faults(Faults { other_consumer_per_10s: Some(20), ..Faults::default() });
    // Our own setting allows far more than the account has left.
    let mut sent = 0;
    for n in 0..6 {
        let data = json!({ "email": format!("u{n}@example.com") });
        world.accept(&user(&n.to_string(), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)).await;
        sent += world.drain().await;
    }
    assert_eq!(sent, 6);
    let status: (Option<i32>, i32) =
        sqlx::query_as("SELECT window_limit, others_used FROM crm_portal")
            .fetch_one(world.queue.pool())
            .await
            .unwrap();
    assert_eq!(status.0, Some(30));
    assert!(status.1 > 0, "what others use is known: {status:?}");
    assert!(world.sandbox.calls().iter().all(|call| call.status != 429));
}

#[tokio::test]
async fn a_create_that_lands_after_the_delete_was_done_is_found_and_deleted_once_more() {
    let world = World::new().await;
    world.accept(&ada("1", 1, json!({ "email": "a@example.com" }))).await;
    let slow = world.lease("contact").await;
    world.advance(TimeDelta::seconds(21));
    world.accept(&event("2", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    // The slow holder's call reaches HubSpot only now, and then it settles.
    world.sandbox.create("contacts", &[("email", "a@example.com"), ("hubferry_id", "u-1")]);
    let mut late = Settlement::release(slow.records[0].id, slow.records[0].doubt);
    late.certainty = Certainty::Certain;
    let now = world.queue.now().await.unwrap();
    assert_eq!(world.queue.settle(&slow.lease, &[late], None, now).await.unwrap().fenced, 1);
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
}

#[tokio::test]
async fn a_delete_right_after_a_merge_leaves_the_survivor_alone() {
    let world = World::new().await;
    let one = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    let two = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    world.accept(&json!([one, two])).await;
    world.drain().await;
    let id = |key: &str| {
        let contacts = world.sandbox.objects("contacts");
        contacts.iter().find(|c| c.properties["hubferry_id"] == key).expect("a contact").id.clone()
    };
    world.sandbox.merge("contacts", &id("u-1"), &id("u-2")).expect("a survivor");
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    // No write of ours has noticed the merge yet.
    world.accept(&event("3", "user.deleted", "u-2", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["hubferry_id"], "u-1");
    world.accept(&event("4", "user.deleted", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert!(world.sandbox.objects("contacts").is_empty());
}

#[tokio::test]
async fn a_pair_is_not_noted_under_a_lease_that_is_lost_while_its_record_is_locked() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "business_id": "b-1" });
    let company =
        event("b", "business.created", "b-1", "2026-01-01T09:00:00Z", json!({ "name": "B" }));
    world.accept(&json!([company, user("1", "u-1", "2026-01-01T10:00:00Z", data)])).await;
    while sqlx::query("SELECT 1 FROM crm_record WHERE stage = 'associate'")
        .fetch_optional(world.queue.pool())
        .await
        .unwrap()
        .is_none()
    {
        world.step().await;
    }
    let slow = world.lease("contact").await;
    let owed = world.queue.owed_slots(&[slow.records[0].id]).await.unwrap();
    assert_eq!(owed.len(), 1);
    // A merge takes the lease away and moves a pair to this slot.
    let mut merge = world.queue.pool().begin().await.unwrap();
    for statement in [
        "UPDATE crm_record SET lease_token = NULL, lease_until = NULL WHERE sync_type = 'contact'",
        "UPDATE crm_association SET made_from = 'moved', made_to = 'here'",
    ] {
        sqlx::query(statement).execute(&mut *merge).await.unwrap();
    }
    let (noted, ()) = tokio::join!(
        async { world.queue.intend(&slow.lease, &[&owed[0]]).await.unwrap() },
        async {
            let waits = "SELECT 1 FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while sqlx::query(waits).fetch_optional(world.queue.pool()).await.unwrap().is_none() {
                tokio::task::yield_now().await;
            }
            merge.commit().await.unwrap();
        }
    );
    assert!(!noted, "the lease is lost");
    let stands: (String, String) = sqlx::query_as("SELECT made_from, made_to FROM crm_association")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(stands, ("moved".into(), "here".into()));
}

#[tokio::test]
async fn a_renewal_locks_its_records_in_the_order_of_all_others() {
    let world = World::new().await;
    // Where Postgres goes through the table, records come as they lie there, not by their numbers.
    let plans = [("enable_indexscan", "off")];
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect_with(world.database.clone().options(plans)).await.unwrap();
    let queue = hubferry::queue::Queue::new(pool);
    let other = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "email": "b@example.com" }));
    world.accept(&ada("1", 1, json!({ "email": "a@example.com" }))).await;
    world.accept(&other).await;
    let mut batch = world.lease("contact").await;
    let ids: Vec<i64> = batch.records.iter().map(|record| record.id).collect();
    sqlx::query("UPDATE crm_record SET failures = 0 WHERE external_id = 'u-1'")
        .execute(world.queue.pool())
        .await
        .unwrap();
    let lock = async |tx: &mut sqlx::PgConnection, id: i64| {
        let statement = "SELECT 1 FROM crm_record WHERE id = $1 FOR NO KEY UPDATE";
        sqlx::query(statement).bind(id).execute(tx).await
    };
    let mut settle = world.queue.pool().begin().await.unwrap();
    lock(&mut settle, ids[0]).await.unwrap();
    let now = world.queue.now().await.unwrap();
    let (renewed, ()) =
        tokio::join!(queue.renew(&mut batch.lease, &ids, TimeDelta::seconds(20), now), async {
            world.blocked(1).await;
            lock(&mut settle, ids[1]).await.expect("no deadlock");
            settle.commit().await.unwrap();
        });
    assert!(renewed.expect("no deadlock"), "still ours");
}
