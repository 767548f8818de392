//! The quota: no rolling window is ever broken, over all replicas, and nearly all of it is used.

use std::time::{Duration, Instant};

use hubspot_sandbox::Settings;
use serde_json::{Value, json};

use crate::support::binary::Server;
use crate::support::{Setup, World, user};

#[tokio::test]
async fn no_window_is_over_the_limit_while_3000_records_flow_through_two_replicas_of_which_one_dies()
 {
    const LIMIT: u32 = 20;
    let sandbox = Settings {
        limit_per_10s: LIMIT,
        latency: Duration::from_millis(100),
        ..Settings::default()
    };
    let world = World::with(Setup { sandbox, prepared: false, ..Setup::default() }).await;
    world.sandbox.define_property("contacts", &json!({ "name": "hubferry_id", "label": "id",
        "type": "string", "fieldType": "text", "groupName": "contactinformation", "hasUniqueValue": true }));
    let limit = LIMIT.to_string();
    let more = [("HUBFERRY__HUBSPOT__LIMIT_PER_10S", limit.as_str())];
    let one = Server::start(&world.database, &world.hubspot_url, &more).await;
    let other = Server::start(&world.database, &world.hubspot_url, &more).await;
    let users = |from: usize, to: usize| -> Value {
        (from..to)
            .map(|n| {
                let data = json!({ "email": format!("u{n}@example.com") });
                user(&n.to_string(), &format!("u-{n}"), "2026-01-01T10:00:00Z", data)
            })
            .collect()
    };
    let started = Instant::now();
    for part in 0..6 {
        world.accept(&users(part * 500, part * 500 + 500)).await;
    }
    // One dies with calls in flight, whose places in the window nobody gives back, and comes again.
    let mut ticks = tokio::time::interval(Duration::from_millis(20));
    while world.sandbox.calls().len() < 6 {
        assert!(started.elapsed() < Duration::from_secs(30), "no call was made");
        ticks.tick().await;
    }
    other.kill().await;
    let other = Server::start(&world.database, &world.hubspot_url, &more).await;
    let deadline = started + Duration::from_secs(180);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    while world.queue.outstanding().await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "{}", world.get("/status").await);
        ticks.tick().await;
    }
    let calls = world.sandbox.calls();
    println!(
        "{} calls in {:?}, peak {}",
        calls.len(),
        started.elapsed(),
        world.sandbox.peak_window()
    );
    assert!(world.sandbox.peak_window() <= LIMIT as usize);
    assert!(calls.iter().all(|call| call.status != 429));
    assert_eq!(world.sandbox.objects("contacts").len(), 3_000);
    assert!(one.terminate().await.success() && other.terminate().await.success());
}

#[tokio::test]
async fn a_place_is_held_from_its_reservation_to_its_reply_plus_the_window() {
    use chrono::TimeDelta;
    use hubferry::queue::quota::ledger::{Limits, Reply, Reserved};
    let world = World::new().await;
    let limits = Limits {
        per_window: 2,
        window: TimeDelta::seconds(10),
        per_day: 100,
        longest: TimeDelta::seconds(16),
        grows: false,
    };
    let reserve = async || world.queue.reserve(&limits, "test").await.unwrap();
    let (Reserved::Place(first), Reserved::Place(second)) = (reserve().await, reserve().await)
    else {
        panic!("two places are free");
    };
    assert!(matches!(reserve().await, Reserved::Full(_)));
    // One is given back unused, the other is replied to: it stays for the window.
    world.queue.cancel(first).await.unwrap();
    let Reserved::Place(_third) = reserve().await else { panic!("given back") };
    world.queue.replied(second, limits.window, &Reply::default()).await.unwrap();
    world.advance(TimeDelta::seconds(5));
    assert!(matches!(reserve().await, Reserved::Full(_)));
    world.advance(TimeDelta::seconds(5));
    let Reserved::Place(_fourth) = reserve().await else { panic!("ten seconds after the reply") };
    // A process that died holds its place no longer than its call could have lasted.
    assert!(matches!(reserve().await, Reserved::Full(_)));
    world.advance(TimeDelta::seconds(16));
    assert!(matches!(reserve().await, Reserved::Place(_)));
}

#[tokio::test]
async fn yesterdays_calls_are_not_shown_as_todays() {
    let world = World::new().await;
    world.worker.check_account().await.unwrap();
    assert!(world.get("/status").await["daily"]["used"].as_i64().is_some_and(|used| used > 0));
    world.advance(chrono::TimeDelta::hours(24));
    let tomorrow = world.queue.account().await.unwrap();
    assert_eq!(tomorrow.day_used, 0, "no call of the new day has been made: {tomorrow:?}");
    assert!(tomorrow.day_started_at.unwrap() <= world.queue.now().await.unwrap());
}
