//! Events without a time: the one that arrives later is the newer one, whatever took it in.

use chrono::TimeDelta;
use hubferry::queue::Queue;
use serde_json::{Value, json};
use sqlx::postgres::PgPoolOptions;

use crate::support::World;

fn titled(id: &str, subject: &str, title: &str) -> Value {
    json!({ "id": id, "type": "user.updated", "subject": subject,
            "data": { "email": format!("{subject}@example.com"), "job_title": title } })
}

/// How many contacts have which title.
fn titles(world: &World) -> std::collections::BTreeMap<String, usize> {
    let mut titles = std::collections::BTreeMap::new();
    for contact in world.sandbox.objects("contacts") {
        *titles.entry(contact.properties["jobtitle"].clone()).or_default() += 1;
    }
    titles
}

#[tokio::test]
async fn the_later_of_two_events_without_a_time_wins_through_whichever_replica_they_came() {
    let world = World::new().await;
    let pool = PgPoolOptions::new().max_connections(3).connect_with(world.database.clone()).await;
    let late = Queue::new(pool.unwrap());
    // What it takes for the time is as old as the way of the database's answers is long.
    late.advance(TimeDelta::milliseconds(-300));
    let other = world.another_door(&late).await;
    for n in 0..20 {
        let subject = format!("u-{n}");
        let (first, second) = if n % 2 == 0 { (&world.url, &other) } else { (&other, &world.url) };
        for (url, title) in [(first, "old"), (second, "new")] {
            let body = titled(&format!("{title}-{n}"), &subject, title);
            let (status, answer) = world.post_to(url, "application/json", body.to_string()).await;
            assert_eq!(status, 202, "{answer}");
        }
    }
    world.drain().await;
    assert_eq!(titles(&world), [("new".into(), 20)].into());
}

#[tokio::test]
async fn the_later_event_without_a_time_wins_though_the_databases_clock_was_set_back() {
    let world = World::new().await;
    world.accept(&json!([titled("1", "u-1", "old"), titled("2", "u-2", "old")])).await;
    world.advance(TimeDelta::hours(-1));
    world.accept(&titled("3", "u-1", "new")).await;
    // A delete is an event too: what comes behind it is newer.
    let delete = json!({ "id": "4", "type": "user.deleted", "subject": "u-2", "data": {} });
    world.accept(&delete).await;
    world.accept(&titled("5", "u-2", "new")).await;
    world.drain().await;
    assert_eq!(titles(&world), [("new".into(), 2)].into());
}

#[tokio::test]
async fn an_event_without_a_time_is_as_new_as_its_turn_at_its_record() {
    let world = World::new().await;
    world.accept(&json!([titled("1", "u-1", "old"), titled("2", "u-2", "old")])).await;
    let mut held = world.queue.pool().begin().await.unwrap();
    sqlx::query("SELECT 1 FROM crm_record WHERE external_id = 'u-1' FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    // It waits for the first record; meanwhile somebody else passes it at the second.
    let slow = json!([titled("3", "u-1", "new"), titled("4", "u-2", "new")]);
    let (answer, ()) = tokio::join!(world.accept(&slow), async {
        world.blocked(1).await;
        world.accept(&titled("5", "u-2", "passed by")).await;
        held.rollback().await.unwrap();
    });
    assert_eq!(answer["accepted"], 2);
    world.drain().await;
    assert_eq!(titles(&world), [("new".into(), 2)].into());
}

#[tokio::test]
async fn the_events_of_one_request_without_a_time_are_in_their_order() {
    let world = World::new().await;
    // Against the order of their ids; the last is a repeat of the first.
    let first = titled("z", "u-1", "old");
    world.accept(&json!([first, titled("a", "u-1", "new"), first])).await;
    world.accept(&json!([first, titled("b", "u-2", "new")])).await;
    world.drain().await;
    assert_eq!(titles(&world), [("new".into(), 2)].into());
}
