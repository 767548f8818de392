//! The log in pages, and live.

use std::time::Duration;

use futures_util::StreamExt;
use hubspot_sandbox::{Faults, Outage};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, World, user};

async fn watch(world: &World, query: &str, after: Option<&str>) -> reqwest::Response {
    let url = format!("{}/admin/sync/logs/stream{query}", world.url);
    let mut request = world.http.get(url).bearer_auth(ADMIN_KEY);
    if let Some(after) = after {
        request = request.header("last-event-id", after);
    }
    let reply = request.send().await.unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    reply
}

type Heard = Vec<(String, String, Value)>;

/// The next `count` events: kind, cursor, line.
async fn hear(reply: reqwest::Response, count: usize) -> Heard {
    hear_until(reply, |heard| heard.len() >= count).await
}

/// The next events until they are enough.
async fn hear_until(reply: reqwest::Response, enough: impl Fn(&Heard) -> bool) -> Heard {
    let mut bytes = reply.bytes_stream();
    let (mut text, mut heard) = (String::new(), Vec::new());
    let all = async {
        while !enough(&heard) {
            let more = bytes.next().await.expect("the stream goes on").expect("bytes");
            text.push_str(std::str::from_utf8(&more).unwrap());
            while let Some((event, rest)) = text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = event.lines().find_map(|l| l.strip_prefix(&format!("{name}: ")));
                    line.map(str::to_owned)
                };
                if let (Some(kind), Some(id), Some(data)) =
                    (field("event"), field("id"), field("data"))
                {
                    heard.push((kind, id, serde_json::from_str(&data).unwrap()));
                }
                text = rest.to_owned();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), all).await.expect("in time");
    heard
}

async fn one_call(world: &World, number: usize) {
    let data = json!({ "first_name": format!("A{number}") });
    let subject = format!("u-{number}");
    world.accept(&user(&format!("e{number}"), &subject, "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
}

#[tokio::test]
async fn the_tail_tells_calls_and_failed_tries_as_they_happen_and_goes_on_behind_a_line() {
    let world = World::new().await;
    one_call(&world, 0).await;
    let all = watch(&world, "", None).await;
    let failures = watch(&world, "?failures=true&kind=attempt", None).await;
    world.sandbox.set_faults(Faults {
        outage: Some(Outage { status: 502, remaining: Some(1), html: false }),
        ..Faults::default()
    });
    one_call(&world, 1).await;
    one_call(&world, 2).await;
    let heard = hear(all, 3).await;
    let told = |kind: &str| heard.iter().filter(|(k, ..)| k == kind).count();
    assert_eq!((told("call"), told("attempt")), (2, 1), "{heard:?}");
    let failed = hear(failures, 1).await;
    assert_eq!(
        (&failed[0].2["class"], &failed[0].2["http_status"]),
        (&json!("transient"), &json!(502))
    );

    // Whoever was away misses nothing.
    one_call(&world, 3).await;
    let newest = world.get("/logs?limit=1").await["items"][0]["call_id"].clone();
    let back = watch(&world, "?kind=call", Some(&heard[2].1)).await;
    let is = |line: &(String, String, Value), call: &Value| line.2["call_id"] == *call;
    let again = hear_until(back, |heard| heard.iter().any(|line| is(line, &newest))).await;
    assert!(again.iter().all(|(kind, ..)| kind == "call"), "{again:?}");
}

#[tokio::test]
async fn whoever_is_cut_off_before_the_first_line_misses_nothing() {
    let world = World::new().await;
    one_call(&world, 0).await;
    let mut bytes = watch(&world, "", None).await.bytes_stream();
    let first = bytes.next().await.expect("it says where it begins").expect("bytes");
    let first = String::from_utf8(first.to_vec()).unwrap();
    let place = first.lines().find_map(|line| line.strip_prefix("id: ")).expect("a place");
    drop(bytes);
    one_call(&world, 1).await;
    let heard = hear(watch(&world, "", Some(place)).await, 1).await;
    assert_eq!(heard[0].2["purpose"], "upsert contacts", "{heard:?}");
    let newest = world.get("/logs?limit=1").await["items"][0]["call_id"].clone();
    assert_eq!(heard[0].2["call_id"], newest);
}

#[tokio::test]
async fn the_log_is_paged_both_ways_over_calls_and_tries() {
    let world = World::new().await;
    world.sandbox.set_faults(Faults {
        outage: Some(Outage { status: 502, remaining: Some(2), html: false }),
        ..Faults::default()
    });
    for number in 0..6 {
        one_call(&world, number).await;
    }
    let all = world.get("/logs?limit=500").await;
    let lines = all["items"].as_array().unwrap().clone();
    assert_eq!(lines.len(), 8, "six calls, two failed tries: {all}");
    let mut paged = Vec::new();
    let (mut url, mut last) = ("/logs?limit=3".to_owned(), Value::Null);
    for _ in 0..10 {
        let page = world.get(&url).await;
        paged.extend(page["items"].as_array().unwrap().clone());
        last = page.clone();
        let Some(next) = page["next_cursor"].as_str() else { break };
        url = format!("/logs?limit=3&cursor={next}");
    }
    assert_eq!(paged, lines);
    let mut back = last["items"].as_array().unwrap().clone();
    for _ in 0..10 {
        let Some(prev) = last["prev_cursor"].as_str() else { break };
        last = world.get(&format!("/logs?limit=3&cursor={prev}")).await;
        let mut newer = last["items"].as_array().unwrap().clone();
        newer.extend(back);
        back = newer;
    }
    assert_eq!(back, lines);
    assert_eq!(world.get("/logs?kind=attempt").await["items"].as_array().unwrap().len(), 2);
    assert_eq!(world.get("/logs?failures=true").await["items"].as_array().unwrap().len(), 4);
    assert_eq!(world.admin("GET", "/logs?kind=odd", None).await.0, 400);
}
