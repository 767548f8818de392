//! Requests of shapes that proxies and servers have been confused by, and values beyond all bounds.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{INGEST_KEY, World, user};

/// Sends `request` as it is and answers all that comes back until the server has had its say.
async fn raw(world: &World, request: &[u8]) -> String {
    let address = world.url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has refused the head need not read the rest.
    stream.write_all(request).await.ok();
    stream.shutdown().await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), read).await.expect("an end").ok();
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<u16> {
    let lines = answer.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 "));
    lines.filter_map(|line| line.get(..3)?.parse().ok()).collect()
}

async fn stored(world: &World) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM event").fetch_one(world.queue.pool()).await.unwrap()
}

#[tokio::test]
async fn a_request_is_never_taken_for_two() {
    let world = World::new().await;
    let event =
        user("inner", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "A" })).to_string();
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {INGEST_KEY}\r\nContent-Type: application/json\r\n"
    );
    let inner = format!("{head}Content-Length: {}\r\n\r\n{event}", event.len());
    for smuggled in [
        // Both lengths: whoever believes the shorter one sees a second request.
        format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("{head}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{inner}"),
        format!("{head}Content-Length: 5\r\nContent-Length: 6\r\n\r\n{{}}   {inner}"),
        format!("{head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("{head}Content-Length: +5\r\n\r\n{{}}   {inner}"),
        format!("{head}Content-Length : 5\r\n\r\n{{}}   {inner}"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\n5;\nx\r\n{{}}   \r\n0\r\n\r\n{inner}"),
    ] {
        let answer = raw(&world, smuggled.as_bytes()).await;
        // Refused, or read as the standard says: the chunked body counts and the connection's
        // next request is one of its own, which its sender was let in for.
        let accepted = statuses(&answer).iter().filter(|&&status| status == 202).count();
        assert!(accepted <= 1, "{smuggled}\n{answer}");
        assert!(statuses(&answer).iter().all(|status| *status < 500), "{smuggled}\n{answer}");
    }
    // Without the key nothing within a body is ever let in.
    let stranger = "POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\
                    Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    let answer = raw(&world, stranger.as_bytes()).await;
    assert!(!statuses(&answer).contains(&202), "{answer}");
    assert!(stored(&world).await <= 1);
}

#[tokio::test]
async fn heads_beyond_all_bounds_and_bodies_that_never_come_hurt_nobody() {
    let world = World::new().await;
    let long = format!("GET /livez HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "a".repeat(1 << 20));
    let many: String = (0..5_000).map(|n| format!("X-{n}: a\r\n")).collect();
    let many = format!("GET /livez HTTP/1.1\r\nHost: x\r\n{many}\r\n");
    for request in [long, many, "\0\0\0\0\r\n\r\n".into(), "GET / HTTP/9.9\r\n\r\n".into()] {
        let answer = raw(&world, request.as_bytes()).await;
        let refused = statuses(&answer).iter().all(|s| (400..500).contains(s) || *s == 505);
        assert!(refused, "{}", answer.chars().take(300).collect::<String>());
    }
    // Two hundred who begin and do not go on.
    let address = world.url.trim_start_matches("http://");
    let mut waiting = Vec::new();
    for n in 0..200 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let begun = if n % 2 == 0 {
            "POST /v1/events HTT".to_owned()
        } else {
            format!(
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {INGEST_KEY}\r\n\
                 Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{"
            )
        };
        stream.write_all(begun.as_bytes()).await.unwrap();
        waiting.push(stream);
    }
    let event = user("e-1", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "A" }));
    world.accept(&event).await;
    drop(waiting);
    world.accept(&event).await;
}

/// Events that are almost right, each wrong somewhere; the seed is printed.
#[tokio::test]
async fn whatever_is_sent_the_answer_is_no_fault_of_ours() {
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut dice = StdRng::seed_from_u64(seed);
    let world = World::new().await;
    let odd = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e308),
        json!(u64::MAX),
        json!(""),
        json!(" "),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("\u{feff}\u{202e}\u{200b}"),
        json!("\u{10ffff}"),
        json!("x".repeat(70_000)),
        json!("9999-12-31T23:59:59Z"),
        json!("-0001-01-01T00:00:00Z"),
        json!("2026-02-30T00:00:00Z"),
        json!([]),
        json!({}),
        json!([[[[[[{ "a": [] }]]]]]]),
        json!({ "\u{0}": "\u{0}" }),
        json!("<script>alert(1)</script>"),
        json!("'; DROP TABLE event; --"),
    ];
    let kinds = ["user.updated", "business.created", "milestone.created", "dispute.resolved"];
    for n in 0..400 {
        let mut event = json!({
            "specversion": "1.0", "id": format!("e-{n}"), "source": "test",
            "type": kinds.choose(&mut dice).unwrap(), "subject": format!("s-{}", n % 7),
            "time": "2026-01-01T10:00:00Z", "priority": "high",
            "data": { "email": "a@example.com", "first_name": "A", "name": "B", "title": "T",
                      "phone": "+33612345678", "country": "FR", "status": "paid",
                      "amount": { "value": "1.00", "currency": "EUR" }, "employees": 3,
                      "business_id": "b-1", "due_date": "2026-05-01", "probability": 0.5 },
        });
        for _ in 0..dice.random_range(1..4) {
            let value = odd.choose(&mut dice).unwrap().clone();
            let within = dice.random_bool(0.6);
            let place = if within { &mut event["data"] } else { &mut event };
            let Some(fields) = place.as_object_mut() else { continue };
            let names: Vec<String> = fields.keys().cloned().collect();
            if let Some(name) = names.choose(&mut dice) {
                fields.insert(name.clone(), value);
            }
        }
        let (status, answer) = world.post(&event).await;
        assert!([202, 409, 413, 422].contains(&status), "{event}: {status} {answer}");
        if status != 202 {
            assert!(answer["detail"].as_str().is_some_and(|d| !d.is_empty()), "{answer}");
        }
        // Cut anywhere, it is no JSON.
        let text = event.to_string();
        let mut cut = dice.random_range(1..text.len());
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        let (status, answer) = world.post_as("application/json", text[..cut].to_owned()).await;
        assert_eq!(status, 400, "{answer}");
    }
    // What got in goes out, or fails with a reason.
    for _ in 0..3 {
        world.drain().await;
        world.advance(chrono::TimeDelta::hours(30));
    }
    world.drain().await;
    let counts = world.get("/status").await["counts"].clone();
    let open = ["pending", "processing", "retry"].map(|s| counts[s].as_i64().unwrap_or(0));
    assert_eq!(open, [0; 3], "{counts}");
    let failed: Value = world.get("/queue?status=failed&limit=500").await;
    for row in failed["items"].as_array().unwrap() {
        assert!(row["error"]["message"].as_str().is_some_and(|m| !m.is_empty()), "{row}");
    }
}
