//! Crashes: nothing accepted is lost, nothing is stuck, nothing is doubled.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use hubferry::queue::delivery::lease::Holder;
use hubferry::queue::delivery::settlement::{Certainty, Link, RowVerdict, Settlement};
use hubferry::worker::janitor;
use hubspot_sandbox::Faults;
use serde_json::{Value, json};

use crate::support::binary::Server;
use crate::support::{World, row_id, user};

fn users(count: usize) -> Value {
    (0..count)
        .map(|n| {
            let data = json!({ "email": format!("u{n}@example.com") });
            user(&n.to_string(), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)
        })
        .collect()
}

/// Waits until `world` has nothing left to do, by the clock of the wall.
async fn settled(world: &World, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    while world.queue.outstanding().await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "{}", world.get("/status").await);
        ticks.tick().await;
    }
}

#[tokio::test]
async fn a_stale_lease_cannot_settle() {
    let world = World::new().await;
    let answer = world.accept(&users(1)).await;
    let holder = |name: &str| Holder { name: name.into(), ttl: TimeDelta::seconds(20) };
    let now = world.queue.now().await.unwrap();
    let due = world.queue.due(&["contact"], now).await.unwrap().expect("due");
    let stale = world.queue.lease(&due, 10, &holder("slow"), now).await.unwrap().expect("a batch");
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "processing");
    assert!(world.queue.lease(&due, 10, &holder("other"), now).await.unwrap().is_none());

    // Its lease runs out; somebody else takes the record and settles it.
    world.advance(TimeDelta::seconds(21));
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["status"], "synced");

    // The stale holder wakes up and says that it failed: nothing changes but the doubt.
    let record = &stale.records[0];
    let mut late = Settlement::release(record.id, record.doubt);
    late.certainty = Certainty::Certain;
    late.link = Link::Set("666".into());
    late.rows = vec![(record.rows[0].id, RowVerdict::Written(Vec::new()))];
    let now = world.queue.now().await.unwrap();
    let settled = world.queue.settle(&stale.lease, &[late], None, now).await.unwrap();
    assert_eq!((settled.records, settled.fenced), (0, 1));
    let row = world.row(&row_id(&answer, 0)).await;
    assert_ne!(row["record"]["hubspot_id"], "666");
    assert_eq!(row["record"]["uncertain"], true, "its call may have come later than the other's");
    world.drain().await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["record"]["uncertain"], false);
    assert_eq!(world.calls("contacts/batch/update"), 1, "all of it was sent again");
}

#[tokio::test]
async fn an_expired_lease_is_not_renewed_and_its_record_goes_out_whole() {
    let world = World::new().await;
    world.accept(&users(1)).await;
    let holder = Holder { name: "slow".into(), ttl: TimeDelta::seconds(20) };
    let now = world.queue.now().await.unwrap();
    let due = world.queue.due(&["contact"], now).await.unwrap().expect("due");
    let mut batch = world.queue.lease(&due, 10, &holder, now).await.unwrap().expect("a batch");
    let id = batch.records[0].id;
    assert!(world.queue.renew(&mut batch.lease, &[id], holder.ttl, now).await.unwrap());
    let later = now + TimeDelta::seconds(21);
    assert!(!world.queue.renew(&mut batch.lease, &[id], holder.ttl, later).await.unwrap());
    assert!(!janitor::tick(&world.queue).await.unwrap().moved, "not before its time");
    world.advance(TimeDelta::seconds(41));
    assert!(janitor::tick(&world.queue).await.unwrap().moved);
    assert_eq!(world.get("/queue").await["items"][0]["status"], "pending");
}

#[tokio::test]
async fn kill_9_in_the_middle_of_a_batch_loses_nothing_and_makes_no_duplicate() {
    let world = World::new().await;
    // A call that takes too long on a slow machine is no failure that lasts.
    let more = [
        ("HUBFERRY__WORKER__LEASE_SECONDS", "8"),
        ("HUBSPOT_TIMEOUT", "2"),
        ("HUBSPOT_RETRY_DELAY", "200"),
        ("HUBSPOT_MAX_RETRIES", "20"),
        ("HUBSPOT_CB_TIMEOUT", "1"),
    ];
    // The sandbox writes and then holds its answer back: the process dies with calls in flight.
    world.sandbox.set_faults(Faults { latency_ms: Some(700), ..Faults::default() });
    for round in 0..3 {
        let server = Server::start(&world.database, &world.hubspot_url, &more).await;
        if round == 0 {
            let events = users(500);
            let reply = world.http.post(format!("{}/v1/events", server.url));
            let reply =
                reply.bearer_auth(crate::support::INGEST_KEY).json(&events).send().await.unwrap();
            assert_eq!(reply.status(), 202);
        }
        // As soon as a call has reached HubSpot its reply is still to come.
        let before = world.calls("contacts/batch");
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        while world.calls("contacts/batch") == before
            && world.queue.outstanding().await.unwrap() > 0
        {
            assert!(Instant::now() < deadline, "no call was made");
            ticks.tick().await;
        }
        server.kill().await;
    }
    world.sandbox.set_faults(Faults::default());
    let started = Instant::now();
    let server = Server::start(&world.database, &world.hubspot_url, &more).await;
    settled(&world, Duration::from_secs(120)).await;
    println!("recovered in {:?}", started.elapsed());
    let contacts = world.sandbox.objects("contacts");
    assert_eq!(contacts.len(), 500);
    assert_eq!(world.get("/status").await["counts"]["synced"], 500);
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn sigterm_under_load_drains_and_leaves_nothing_leased() {
    let world = World::new().await;
    world.sandbox.set_faults(Faults { latency_ms: Some(200), ..Faults::default() });
    let server = Server::start(&world.database, &world.hubspot_url, &[]).await;
    world.accept(&users(2_000)).await;
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while world.calls("contacts/batch") < 2 {
        assert!(Instant::now() < deadline, "no call was made");
        ticks.tick().await;
    }
    assert!(server.terminate().await.success());
    let leased: i64 =
        sqlx::query_scalar("SELECT count(*) FROM crm_record WHERE lease_token IS NOT NULL")
            .fetch_one(world.queue.pool())
            .await
            .unwrap();
    assert_eq!(leased, 0);
    world.sandbox.set_faults(Faults::default());
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 2_000);
    assert_eq!(world.get("/status").await["counts"]["synced"], 2_000);
}
