//! The door: what is accepted, what is refused, and that 202 means stored.

use pg_cluster::{Cluster, Options};
use serde_json::{Value, json};

use crate::support::binary::Server;
use crate::support::{ADMIN_KEY, INGEST_KEY, World, event, row_id, samples, user};

fn pointers(answer: &Value) -> Vec<(u64, String)> {
    let errors = answer["errors"].as_array().cloned().unwrap_or_default();
    errors
        .iter()
        .map(|e| (e["index"].as_u64().unwrap(), e["pointer"].as_str().unwrap().to_owned()))
        .collect()
}

async fn stored(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM event").fetch_one(world.queue.pool()).await.unwrap()
}

#[tokio::test]
async fn every_layout_of_a_body_is_understood() {
    let world = World::new().await;
    let one = |n: u32| {
        user(&n.to_string(), "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }))
    };
    let lines = format!("{}\n\n{}\r\n", one(5), one(6));
    let bodies = [
        ("application/json", one(1).to_string(), 1),
        ("application/json; charset=utf-8", json!([one(2), one(3)]).to_string(), 2),
        ("application/cloudevents+json", one(4).to_string(), 1),
        ("application/x-ndjson", lines, 2),
        ("application/cloudevents-batch+json", json!([one(7)]).to_string(), 1),
    ];
    for (content_type, body, count) in bodies {
        let (status, answer) = world.post_as(content_type, body).await;
        assert_eq!((status, &answer["accepted"]), (202, &json!(count)), "{content_type}: {answer}");
        let row = &answer["events"][0]["rows"][0];
        assert_eq!(row["sync_type"], "contact");
        assert_eq!(row["external_id"], "u-1");
        assert_eq!(row["status"], "pending");
        assert!(row["id"].is_string());
    }
    // Defaults: the id is made, the source is the setting's, the time is now.
    let bare = json!({ "type": "user.updated", "subject": "u-2", "data": { "first_name": "Ada" } });
    let answer = world.accept(&bare).await;
    let id = answer["events"][0]["id"].as_str().unwrap();
    let url = format!("{}/v1/events/{id}?source=app", world.url);
    let shown: Value =
        world.http.get(url).bearer_auth(INGEST_KEY).send().await.unwrap().json().await.unwrap();
    assert_eq!(shown["rows"][0]["status"], "pending", "{shown}");
}

#[tokio::test]
async fn refusals_name_every_fault_of_every_event_and_store_nothing() {
    let world = World::new().await;
    let events = json!([
        { "type": "user.created", "subject": "u-2", "data": { "email": "not-an-address" } },
        { "type": "user.created", "subject": "", "data": { "email": "a@example.com" } },
        samples()[0],
        { "type": "invoice.created", "subject": "i-1", "data": {} },
        { "type": "dispute.created", "subject": "d-1", "data": { "title": "", "status": "no-such-status" } },
        { "type": "user.created", "subject": "u-3", "time": "yesterday", "data": { "email": "b@" } },
        { "type": "user.created", "subject": "u-4", "data": { "email": "a@example.com", "first_name": "A\u{0}" } },
    ]);
    let (status, answer) = world.post(&events).await;
    assert_eq!(status, 422);
    assert_eq!(answer["type"], "urn:hubferry:problem:invalid_event");
    let wanted = [
        (0, "/data/email"),
        (1, "/subject"),
        (3, "/type"),
        (4, "/data/title"),
        (4, "/data/status"),
        (5, "/time"),
        (5, "/data/email"),
        (6, "/data/first_name"),
    ];
    let found = pointers(&answer);
    for (index, pointer) in wanted {
        assert!(found.contains(&(index, pointer.to_owned())), "{index} {pointer} in {found:?}");
    }
    assert!(found.iter().all(|(index, _)| *index != 2), "{found:?}");
    assert!(!answer.to_string().contains("not-an-address"), "refusals repeat no value");
    assert_eq!(stored(&world).await, 0);
}

#[tokio::test]
async fn an_id_that_comes_again_with_another_body_refuses_its_own_request_only() {
    let world = World::new().await;
    let named =
        |name: &str| user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": name }));
    world.accept(&named("Ada")).await;
    let other = user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "first_name": "Bo" }));
    let (status, answer) = world.post(&json!([other, named("Eve")])).await;
    assert_eq!((status, pointers(&answer)), (409, vec![(1, "/id".into())]), "{answer}");
    assert_eq!(stored(&world).await, 1);
    // The same twice in one body is one event and one duplicate.
    let answer = world.accept(&json!([other, other])).await;
    assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(1), &json!(1)));
    assert_eq!(row_id(&answer, 0), row_id(&answer, 1));
    let (status, _) = world.post(&json!([named("X"), named("Y")])).await;
    assert_eq!(status, 409);
    // The order of keys is no other body, and neither is another source a conflict.
    let text = r#"{"data":{"first_name":"Ada"},"subject":"u-1","time":"2026-01-01T10:00:00Z","type":"user.updated","source":"test","id":"1","specversion":"1.0"}"#;
    assert_eq!(world.post_as("application/json", text).await.1["duplicates"], 1);
    let mut elsewhere = named("Eve");
    elsewhere["source"] = json!("elsewhere");
    assert_eq!(world.accept(&elsewhere).await["accepted"], 1);
}

#[tokio::test]
async fn fifty_identical_posts_at_the_same_moment_are_one_event() {
    let world = World::new().await;
    let event = json!([
        user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "Ada" })),
        user("2", "u-2", "2026-01-01T10:00:00Z", json!({ "first_name": "Bo" })),
    ]);
    let answers = futures_util::future::join_all((0..50).map(|_| world.post(&event))).await;
    assert!(answers.iter().all(|(status, _)| *status == 202), "{answers:?}");
    let accepted: u64 = answers.iter().map(|(_, a)| a["accepted"].as_u64().unwrap()).sum();
    assert_eq!((accepted, stored(&world).await), (2, 2));
}

#[tokio::test]
async fn bodies_that_are_none_get_a_clear_answer() {
    let world = World::new().await;
    let big = format!("{{\"a\":\"{}\"}}", "x".repeat(9 * 1024 * 1024));
    let many = json!(vec![json!({}); 10_001]).to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let cases: [(&str, Vec<u8>, u16, &str); 11] = [
        ("application/json", b"{".to_vec(), 400, "malformed_json"),
        ("application/json", b"\xff\xfe".to_vec(), 400, "malformed_json"),
        ("application/json", Vec::new(), 400, "malformed_json"),
        ("application/json", deep.into_bytes(), 400, "malformed_json"),
        ("application/json", b"[]".to_vec(), 422, "no_events"),
        ("application/json", b"7".to_vec(), 422, "invalid_event"),
        ("application/x-ndjson", b"{}\n{".to_vec(), 400, "malformed_json"),
        ("text/plain", b"{}".to_vec(), 415, "unsupported_media_type"),
        ("application/cloudevents-batch+json", b"{}".to_vec(), 400, "malformed_json"),
        ("application/json", big.into_bytes(), 413, "body_too_large"),
        ("application/json", many.into_bytes(), 413, "too_many_events"),
    ];
    for (content_type, body, status, code) in cases {
        let start = String::from_utf8_lossy(&body[..body.len().min(20)]).into_owned();
        let (got, answer) = world.post_as(content_type, body).await;
        assert_eq!(
            (got, answer["code"].as_str()),
            (status, Some(code)),
            "{content_type} {start}: {answer}"
        );
    }
    assert_eq!(stored(&world).await, 0);
}

#[tokio::test]
async fn keys_open_their_own_doors_only() {
    let world = World::new().await;
    let events = format!("{}/v1/events", world.url);
    let status = format!("{}/admin/sync/status", world.url);
    for (url, key, wanted) in [
        (&events, None, 401),
        (&events, Some("wrong"), 401),
        (&events, Some(INGEST_KEY), 415),
        (&events, Some(ADMIN_KEY), 415),
        (&status, None, 401),
        (&status, Some(INGEST_KEY), 403),
        (&status, Some(ADMIN_KEY), 405),
    ] {
        let mut request = world.http.post(url.as_str());
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        let reply = request.send().await.unwrap();
        assert_eq!(reply.status().as_u16(), wanted, "{url} {key:?}");
        if wanted == 401 {
            assert!(reply.headers().contains_key("www-authenticate"));
            assert_eq!(reply.headers()["content-type"], "application/problem+json");
        }
    }
}

#[tokio::test]
async fn an_event_from_the_future_is_refused_and_one_within_the_tolerance_is_not() {
    let world = World::new().await;
    let at = |ahead: i64| {
        let time = chrono::Utc::now() + chrono::TimeDelta::seconds(ahead);
        user(&ahead.to_string(), "u-1", &time.to_rfc3339(), json!({ "first_name": "Ada" }))
    };
    assert_eq!(world.post(&at(240)).await.0, 202);
    let (status, answer) = world.post(&at(360)).await;
    assert_eq!((status, pointers(&answer)), (422, vec![(0, "/time".into())]), "{answer}");
}

#[tokio::test]
async fn without_a_database_the_answer_is_503_with_a_time_to_come_again() {
    let path = std::env::var_os("PATH");
    let start = || Cluster::temporary(Options { path, ..Options::default() });
    let cluster = tokio::task::spawn_blocking(start).await.unwrap().unwrap();
    let database = cluster.create_database("hubferry").await.unwrap();
    let more = [("HUBFERRY__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "3")];
    let server = Server::start(&database, "http://127.0.0.1:9", &more).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = || {
        let body =
            event("1", "user.updated", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "A" }));
        http.post(format!("{}/v1/events", server.url)).bearer_auth(INGEST_KEY).json(&body).send()
    };
    assert_eq!(post().await.unwrap().status(), 202, "HubSpot need not be there");
    tokio::task::spawn_blocking(|| cluster.stop()).await.unwrap().unwrap();
    let reply = post().await.unwrap();
    assert_eq!(
        (reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()),
        (503, "5")
    );
    let ready = http.get(format!("{}/readyz", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    assert_eq!(http.get(format!("{}/livez", server.url)).send().await.unwrap().status(), 200);
    server.kill().await;
}

#[tokio::test]
async fn lists_filter_and_page_by_key() {
    let world = World::new().await;
    world.accept(&json!(samples())).await;
    world.drain().await;
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = world.get(&format!("/queue?limit=3{cursor}")).await;
        let items = page["items"].as_array().unwrap().clone();
        seen.extend(items.iter().map(|row| row["id"].as_str().unwrap().parse::<i64>().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 7);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    let count = async |query: &str| {
        world.get(&format!("/queue?{query}")).await["items"].as_array().unwrap().len()
    };
    assert_eq!(count("sync_type=contact").await, 2);
    assert_eq!(count("event_type=milestone.updated").await, 1);
    assert_eq!(count("external_id=d-9001&status=synced").await, 2);
    assert_eq!(count("priority=high").await, 2);
    assert_eq!(count("status=failed").await, 0);
    for bad in ["status=done", "limit=0", "cursor=x", "colour=red", "priority=top", "since=monday"]
    {
        let (status, answer) = world.admin("GET", &format!("/queue?{bad}"), None).await;
        assert_eq!(status, 400, "{bad}: {answer}");
    }
    assert_eq!(world.admin("GET", "/queue/999999", None).await.0, 404);
    assert_eq!(world.admin("GET", "/queue/abc", None).await.0, 404);
}

#[tokio::test]
async fn metrics_tell_of_rows_and_calls_and_of_nobody() {
    let world = World::new().await;
    world.accept(&json!(samples())).await;
    world.drain().await;
    let text = world
        .http
        .get(format!("{}/metrics", world.url))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    for name in ["hubferry_rows", "hubferry_oldest_waiting_seconds", "hubferry_window_limit"] {
        assert!(text.contains(name), "{name} in {text}");
    }
    assert!(!text.contains("u-1001") && !text.contains('@'), "{text}");
}

#[tokio::test]
async fn guessing_keys_is_braked_by_address_and_keeps_no_application_out() {
    let world = World::new().await;
    let (_, made) =
        world.admin("POST", "/keys", Some(json!({ "name": "backend", "role": "ingest" }))).await;
    let made = made["key"].as_str().unwrap().to_owned();
    let from = |address: [u8; 4]| {
        let client = reqwest::Client::builder().no_proxy();
        client.local_address(std::net::IpAddr::from(address)).build().unwrap()
    };
    let stranger = from([127, 0, 0, 2]);
    let ask = async |client: &reqwest::Client, key: &str| {
        let url = format!("{}/v1/events/none", world.url);
        let reply = client.get(url).bearer_auth(key).send().await.unwrap();
        let wait = reply.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        (reply.status().as_u16(), wait)
    };
    for n in 0..5 {
        assert_eq!(ask(&stranger, &format!("guess-{n}")).await, (401, None));
    }
    for n in 0..50 {
        let (status, wait) = ask(&stranger, &format!("another-{n}")).await;
        assert_eq!((status, wait.is_some()), (429, true));
    }
    let (status, wait) = ask(&stranger, INGEST_KEY).await;
    assert_eq!((status, wait.is_some()), (429, true), "a right guess looks like a wrong one");
    assert_eq!(ask(&stranger, "hf_guessed").await, (401, None), "no key of ours can be guessed");
    assert_eq!(ask(&from([127, 0, 0, 3]), INGEST_KEY).await.0, 404, "others are not braked");
    // A made key cannot be guessed, and shows that the address may be trusted.
    assert_eq!(ask(&stranger, &made).await.0, 404);
    for n in 0..10 {
        ask(&stranger, &format!("guess-{n}")).await;
    }
    assert_eq!(ask(&stranger, "a-guess").await.0, 429);
    assert_eq!(ask(&stranger, INGEST_KEY).await.0, 404, "an application behind the same proxy");
}

#[tokio::test]
async fn a_key_sends_no_more_events_a_minute_than_it_may() {
    let world = World::new().await;
    let settings =
        [("HUBFERRY__INGEST__MAX_EVENTS_PER_MINUTE", "10"), ("HUBFERRY__WORKER__ENABLED", "false")];
    let server = Server::start(&world.database, &world.hubspot_url, &settings).await;
    let post = async |key: &str, events: std::ops::Range<u32>| {
        let event = |n: u32| user(&n.to_string(), "u-1", "2026-01-01T10:00:00Z", json!({}));
        let body = json!(events.map(event).collect::<Vec<_>>());
        let request = world.http.post(format!("{}/v1/events", server.url)).bearer_auth(key);
        let reply = request.json(&body).send().await.unwrap();
        let wait = reply.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
        (reply.status().as_u16(), wait.map(|wait| wait.parse::<u64>().unwrap()))
    };
    assert_eq!(post(INGEST_KEY, 0..6).await, (202, None));
    let (status, wait) = post(INGEST_KEY, 6..12).await;
    assert_eq!((status, wait.is_some_and(|wait| (1..=60).contains(&wait))), (429, true));
    assert_eq!(post(INGEST_KEY, 0..11).await, (413, None));
    assert_eq!(post(ADMIN_KEY, 6..12).await, (202, None), "each key for itself");
    server.kill().await;
}

#[tokio::test]
async fn events_may_come_as_gzip() {
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write as _;
    let world = World::new().await;
    let event = |n: u32| user(&n.to_string(), "u-1", "2026-01-01T10:00:00Z", json!({}));
    let body = json!((0..500).map(event).collect::<Vec<_>>()).to_string();
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(body.as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    let post = async |encoding: &str, body: Vec<u8>| {
        let request = world.http.post(format!("{}/v1/events", world.url)).bearer_auth(INGEST_KEY);
        let request = request.header("content-type", "application/json").body(body);
        let reply = request.header("content-encoding", encoding).send().await.unwrap();
        let status = reply.status().as_u16();
        let answer: Value = reply.json().await.unwrap();
        (status, answer["code"].as_str().unwrap_or_default().to_owned(), answer)
    };
    let (status, _, answer) = post("gzip", packed.clone()).await;
    assert_eq!((status, &answer["accepted"]), (202, &json!(500)), "{answer}");
    let (status, code, _) = post("gzip", body.into_bytes()).await;
    assert_eq!((status, code.as_str()), (400, "unreadable_body"));
    let (status, code, _) = post("br", packed).await;
    assert_eq!((status, code.as_str()), (415, "unsupported_encoding"));
}
