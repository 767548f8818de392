//! Many requests at the same moment: each is stored whole or not at all, and answered for itself.
//! And what is forgotten, long after.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::{join, join_all};
use hubferry::queue::Queue;
use hubferry::worker::janitor;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;

use crate::support::gulf::Gulf;
use crate::support::{World, row_id, user};

fn at_ten(id: &str, subject: &str, data: Value) -> Value {
    user(id, subject, "2026-01-01T10:00:00Z", data)
}

#[tokio::test]
async fn requests_that_are_stored_together_are_refused_for_themselves() {
    let world = World::new().await;
    world.accept(&at_ten("known", "u-0", json!({ "email": "u0@example.com" }))).await;
    let erased = json!({ "id": "gone", "type": "user.erased", "subject": "u-gone", "data": {} });
    world.accept(&erased).await;
    let good =
        |n: usize| at_ten(&format!("e-{n}"), &format!("u-{n}"), json!({ "first_name": "A" }));
    let bodies: Vec<(u16, Value)> = (1..60)
        .map(|n| match n % 6 {
            // The id of another body, beside an event that is none the worse for it.
            1 => {
                (409, json!([good(n), at_ten("known", "u-0", json!({ "email": "x@example.com" }))]))
            }
            2 => (422, json!([at_ten(&format!("e-{n}"), "u-gone", json!({ "first_name": "A" }))])),
            _ => (202, json!([good(n)])),
        })
        .collect();
    let answers = join_all(bodies.iter().map(|(_, body)| world.post(body))).await;
    for ((expected, body), (status, answer)) in bodies.iter().zip(answers) {
        assert_eq!(status, *expected, "{body}: {answer}");
        match expected {
            409 => assert_eq!(answer["errors"][0]["index"], 1, "{answer}"),
            422 => assert_eq!(answer["errors"][0]["index"], 0, "{answer}"),
            _ => assert_eq!(answer["accepted"], 1, "{answer}"),
        }
        // What was refused has stored nothing, not even its good half.
        let id = body[0]["id"].as_str().unwrap();
        let stored: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM event WHERE id = $1)")
            .bind(id)
            .fetch_one(world.queue.pool())
            .await
            .unwrap();
        assert_eq!(stored, *expected == 202, "{id}");
    }
}

/// Before requests about locked records went aside, all others waited for five seconds or more. Where all
/// tests run, the machine is busy and nothing is optimized; `make bounds` measures.
const PATIENCE: Duration = Duration::from_millis(if cfg!(debug_assertions) { 4_000 } else { 100 });

/// Posts about `u-held`, which somebody holds until all others have been answered, together with posts
/// about others. Answers what the former were answered, and how long the slowest twentieth of the latter
/// took at least.
async fn beside_a_lock(
    world: &World,
    held: sqlx::Transaction<'_, sqlx::Postgres>,
) -> (Vec<u16>, Duration) {
    let waits = (0..8).map(async |n| {
        // In groups with others, and later, when it is known that somebody holds the record.
        tokio::time::sleep(Duration::from_millis(100 * (n / 4))).await;
        let body = at_ten(&format!("held-{n}"), "u-held", json!({ "first_name": "A" }));
        world.post(&body).await.0
    });
    let goes = (0..60).map(async |n| {
        tokio::time::sleep(Duration::from_millis(20 * n)).await;
        let body = at_ten(&format!("free-{n}"), &format!("u-{n}"), json!({ "first_name": "A" }));
        let started = Instant::now();
        let answer = tokio::time::timeout(Duration::from_secs(10), world.accept(&body)).await;
        answer.expect("an answer while somebody holds another record");
        started.elapsed()
    });
    let release = async {
        let mut took = join_all(goes).await;
        held.rollback().await.unwrap();
        took.sort();
        let p95 = took[took.len() * 95 / 100];
        println!("p95 of the others: {p95:?}");
        p95
    };
    join(join_all(waits), release).await
}

#[tokio::test]
async fn a_record_that_somebody_holds_keeps_waiting_only_what_is_about_it() {
    let world = World::new().await;
    world.accept(&at_ten("1", "u-held", json!({ "email": "held@example.com" }))).await;
    let mut held = world.queue.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM crm_record FOR UPDATE").execute(&mut *held).await.unwrap();
    let (answers, p95) = beside_a_lock(&world, held).await;
    assert_eq!(answers, [202; 8], "once it is free");
    assert!(p95 < PATIENCE, "p95 of the others: {p95:?}");
    world.drain().await;
    assert_eq!(world.get("/status").await["counts"]["synced"], 69);
}

#[tokio::test]
async fn a_record_that_somebody_is_making_keeps_waiting_only_what_is_about_it() {
    let world = World::new().await;
    let mut held = world.queue.pool().begin().await.unwrap();
    let made = "INSERT INTO crm_record (portal, sync_type, external_id, created_at)
                VALUES ('default', 'contact', 'u-held', now())";
    sqlx::query(made).execute(&mut *held).await.unwrap();
    let (answers, p95) = beside_a_lock(&world, held).await;
    assert_eq!(answers, [202; 8], "it was not made after all");
    assert!(p95 < PATIENCE, "p95 of the others: {p95:?}");
}

/// Who has met a lock asks which records are locked: over a connection that may fall silent just then.
#[tokio::test]
async fn the_door_stays_open_where_nobody_answers_which_records_are_locked() {
    let world = World::new().await;
    world.accept(&at_ten("1", "u-held", json!({ "email": "held@example.com" }))).await;
    let (gulf, far) = Gulf::to_database(&world.database).await;
    let pool = PgPoolOptions::new().max_connections(6).connect_with(far).await.unwrap();
    let door = world.another_door(&Queue::new(pool)).await;
    gulf.falls_silent_at("SKIP LOCKED");
    let mut held = world.queue.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM crm_record FOR UPDATE").execute(&mut *held).await.unwrap();
    let post = async |id: &str, subject: &str| {
        let body = at_ten(id, subject, json!({ "first_name": "A" })).to_string();
        let answer = world.post_to(&door, "application/json", body);
        let answer = tokio::time::timeout(Duration::from_secs(40), answer).await;
        answer.expect("an answer").0
    };
    // As many as there are lanes, and who comes behind them.
    let waits = join(post("held-1", "u-held"), async {
        gulf.met(1).await;
        post("held-2", "u-held").await
    });
    let ((first, second), free) = join(waits, async {
        gulf.met(2).await;
        post("free", "u-free").await
    })
    .await;
    assert_eq!((first, second, free), (503, 503, 202));
}

#[tokio::test]
async fn a_later_event_of_one_body_wins_at_the_same_time() {
    let world = World::new().await;
    let named = |id: &str, name: &str| {
        at_ten(id, "u-1", json!({ "email": "u1@example.com", "last_name": name }))
    };
    // Against the order of their ids.
    world.accept(&json!([named("z", "First"), named("a", "Second")])).await;
    world.drain().await;
    assert_eq!(world.only("contacts")["lastname"], "Second");
}

#[tokio::test]
async fn rows_that_are_done_are_forgotten_and_failed_ones_are_not() {
    let world = World::new().await;
    let keep = TimeDelta::days(180);
    let deal = |id: &str, currency: &str| {
        json!({ "id": id, "source": "test", "type": "milestone.created", "subject": format!("m-{id}"),
                "time": "2026-01-01T10:00:00Z",
                "data": { "name": "A", "status": "paid",
                          "amount": { "value": "1.00", "currency": currency } } })
    };
    let old = world.accept(&json!([deal("1", "EUR"), deal("2", "GBP"), deal("3", "GBP")])).await;
    world.drain().await;
    let discarded = row_id(&old, 2);
    world.admin("POST", &format!("/queue/{discarded}/discard"), Some(json!({}))).await;
    world.advance(TimeDelta::days(100));
    let young = world.accept(&deal("4", "EUR")).await;
    world.drain().await;
    assert_eq!(janitor::forget(&world.queue, keep, 0).await.unwrap(), 0, "nothing is old enough");

    world.advance(TimeDelta::days(81));
    let mut behind = janitor::forget(&world.queue, keep, 0).await.unwrap();
    while behind > 0 {
        behind = janitor::forget(&world.queue, keep, behind).await.unwrap();
    }
    let status = async |answer: &Value, index: usize| {
        world.admin("GET", &format!("/queue/{}", row_id(answer, index)), None).await.0
    };
    assert_eq!(status(&old, 0).await, 404, "synced");
    assert_eq!(status(&old, 1).await, 200, "failed: it needs a person");
    assert_eq!(status(&old, 2).await, 404, "discarded");
    assert_eq!(status(&young, 0).await, 200, "not old enough");
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM event")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(events, 2);
    let counts = world.get("/status").await["counts"].clone();
    assert_eq!((&counts["synced"], &counts["failed"]), (&json!(1), &json!(1)), "{counts}");

    // The record knows what HubSpot has accepted: the old event once more changes nothing.
    let before = world.calls("deals/batch");
    world.accept(&deal("1", "EUR")).await;
    world.drain().await;
    assert_eq!(world.calls("deals/batch"), before);
}
