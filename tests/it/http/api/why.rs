//! "Why is it waiting?", and the trace that a row keeps.

use chrono::TimeDelta;
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};

use super::bad_deal;
use crate::support::{INGEST_KEY, World, event, row_id, user};

async fn why(world: &World, id: &str) -> Vec<(String, String)> {
    let row = world.row(id).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    row["why"].as_array().unwrap().iter().map(|w| (text(&w["code"]), text(&w["text"]))).collect()
}

#[tokio::test]
async fn every_wait_has_its_reason() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com", "business_id": "b-77" });
    let id = row_id(&world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await, 0);
    assert_eq!(why(&world, &id).await[0].0, "line");

    world.admin("POST", "/pause", Some(json!({ "reason": "stocktaking" }))).await;
    let told = why(&world, &id).await;
    assert_eq!(told[0].0, "gate");
    assert!(told[0].1.contains("stocktaking"), "{told:?}");
    world.admin("POST", "/resume", None).await;

    world.sandbox.set_faults(Faults {
        outage: Some(Outage { status: 502, remaining: Some(1), html: false }),
        ..Faults::default()
    });
    world.step().await;
    let told = why(&world, &id).await;
    assert_eq!(told[0].0, "scheduled");
    assert!(told[0].1.contains("attempt 1"), "{told:?}");
    let row = world.row(&id).await;
    assert_eq!(row["why"][0]["until"], row["scheduled_at"]);
    assert!(row["attempts"][0]["duration_ms"].is_number());

    world.advance(TimeDelta::minutes(2));
    world.drain().await;
    let told = why(&world, &id).await;
    assert_eq!((told.len(), told[0].0.as_str()), (1, "association"));
    assert!(told[0].1.contains("waits for company b-77 to exist"), "{told:?}");
    let company =
        event("2", "business.created", "b-77", "2026-01-01T10:00:00Z", json!({ "name": "B" }));
    world.accept(&company).await;
    world.drain().await;
    assert_eq!(why(&world, &id).await, []);

    let late = event(
        "3",
        "dispute.resolved",
        "d-1",
        "2026-01-01T10:00:00Z",
        json!({ "resolution": "done" }),
    );
    let late = row_id(&world.accept(&late).await, 0);
    world.drain().await;
    let told = why(&world, &late).await;
    assert_eq!(told[0].0, "missing", "{told:?}");
    assert!(told[0].1.contains("before"), "{told:?}");

    let failed = row_id(&world.accept(&bad_deal("4", "m-1")).await, 0);
    world.drain().await;
    assert_eq!(why(&world, &failed).await[0].0, "failed");
}

#[tokio::test]
async fn who_holds_it_and_who_goes_first_is_told() {
    let world = World::new().await;
    let users: Value = (0..150)
        .map(|n| user(&format!("{n}"), &format!("u-{n}"), "2026-01-01T10:00:00Z", json!({})))
        .collect();
    let answer = world.accept(&users).await;
    // Records that came together go as they came.
    let last = row_id(&answer, 149);
    let told = why(&world, &last).await;
    assert!(told[0].1.contains("behind 149 records"), "{told:?}");

    let now = world.queue.now().await.unwrap();
    let due = world.queue.due(&["contact"], now).await.unwrap().unwrap();
    let holder = hubferry::queue::delivery::lease::Holder {
        name: "w-1".into(),
        ttl: TimeDelta::seconds(25),
    };
    world.queue.lease(&due, 100, &holder, now).await.unwrap().unwrap();
    let first = row_id(&answer, 0);
    assert!(why(&world, &first).await[0].1.contains("held by worker w-1"));
    let status = world.get("/status").await;
    assert_eq!(status["counts"]["processing"], 100);
    assert_eq!(
        (&status["leases"][0]["holder"], &status["leases"][0]["records"]),
        (&json!("w-1"), &json!(100))
    );
    let later = user("late", "u-0", "2026-01-02T10:00:00Z", json!({ "first_name": "A" }));
    let later = row_id(&world.accept(&later).await, 0);
    let told = why(&world, &later).await;
    assert!(told[0].1.contains("goes right after"), "{told:?}");
}

#[tokio::test]
async fn the_trace_of_a_request_or_an_event_stays_with_its_row() {
    let world = World::new().await;
    let of_request = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let of_event = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut traced = user("2", "u-2", "2026-01-01T10:00:00Z", json!({}));
    traced["traceparent"] = json!(of_event);
    let body = json!([user("1", "u-1", "2026-01-01T10:00:00Z", json!({})), traced]);
    let post = async |trace: &str| -> Value {
        let request = world.http.post(format!("{}/v1/events", world.url)).bearer_auth(INGEST_KEY);
        let reply = request.header("traceparent", trace).json(&body).send().await.unwrap();
        assert_eq!(reply.status(), 202);
        assert!(reply.headers().contains_key("x-request-id"));
        reply.json().await.unwrap()
    };
    let answer = post(of_request).await;
    assert_eq!(world.row(&row_id(&answer, 0)).await["traceparent"], of_request);
    assert_eq!(world.row(&row_id(&answer, 1)).await["traceparent"], of_event);
    // The same again within another span is the same.
    assert_eq!(post(&of_request.replace("b7-01", "b8-01")).await["duplicates"], 2);
}
