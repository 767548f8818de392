//! Bodies that are made to take memory, all kinds at once: the process takes no more than it says.

use std::io::Write as _;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::binary::Server;
use crate::support::{INGEST_KEY, World, user};

/// What the process may take beyond what it takes at rest, in KiB.
const MOST: u64 = 64 * 1024;

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A body of each kind, whether it is gzip, and how it may end beside 503.
fn bodies() -> Vec<(&'static str, Vec<u8>, bool, [u16; 2])> {
    let small_values = |bytes: usize| vec![r#"{"a":1}"#; bytes / 8].join(",");
    let event = |n: usize, data: &str| {
        format!(r#"{{"type":"user.updated","subject":"u-{n}","data":{{"x":[{data}]}}}}"#)
    };
    let full = (0..31).map(|n| event(n, &vec!["1"; 125_000].join(","))).collect::<Vec<_>>();
    let full = format!("[{}]", full.join(","));
    let huge = event(0, &small_values(7_900_000));
    let names: Vec<String> = (0..100).map(|n| format!(r#""A{n}":1"#)).collect();
    let bad_names = format!("[{}]", vec![format!("{{{}}}", names.join(",")); 9_999].join(","));
    let deep_nul = (0..40).map(|n| {
        let nuls = vec![r#""\u0000""#; 9_000].join(",");
        event(n, &format!(r#"{{"{}":[{nuls}]}}"#, "k".repeat(100_000)))
    });
    let deep_nul = format!("[{}]", deep_nul.collect::<Vec<_>>().join(","));
    let many = (0..10_000).map(|n| event(n, "")).collect::<Vec<_>>().join("\n");
    let bomb = " ".repeat(200 << 20);
    vec![
        ("a million events", format!("[{}]", small_values(8_000_000)).into(), false, [413; 2]),
        ("a million values", huge.clone().into(), false, [422; 2]),
        ("a million values, packed", packed(&huge), true, [422; 2]),
        ("full events", full.clone().into(), false, [202; 2]),
        ("full events, packed", packed(&full), true, [202; 2]),
        ("bad names", bad_names.into(), false, [422; 2]),
        ("long pointers", deep_nul.into(), false, [422; 2]),
        ("many events", many.into(), false, [202, 422]),
        ("a bomb", packed(&bomb), true, [413; 2]),
    ]
}

/// A figure of `/proc/<pid>/status`, in KiB.
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_hostile_senders_take_no_more_than_64_mb() {
    let world = World::new().await;
    // Nothing is sent on: this is about the door.
    let settings =
        [("HUBFERRY__WORKER__ENABLED", "false"), ("RUST_LOG", "warn,hubferry::cli=info")];
    let server = Server::start(&world.database, &world.hubspot_url, &settings).await;
    let url = format!("{}/v1/events", server.url);
    let post = |body: Vec<u8>, gzip: bool, kind: &'static str| {
        let mut request = world.http.post(&url).bearer_auth(INGEST_KEY).body(body);
        if gzip {
            request = request.header("content-encoding", "gzip");
        }
        request.header("content-type", kind).send()
    };
    let small = |n: usize| {
        let event =
            user(&format!("s-{n}"), "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "A" }));
        post(event.to_string().into(), false, "application/json")
    };
    for n in 0..50 {
        assert_eq!(small(n).await.unwrap().status(), 202);
    }
    let pid = server.pid();
    // Where the allocator keeps what nobody uses, it takes half as much again, and not in each run.
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
    let environment = String::from_utf8_lossy(&environment).into_owned();
    assert!(environment.split('\0').any(|set| set == "MIMALLOC_PURGE_DELAY=0"), "{environment}");
    let idle = memory(pid, "VmRSS");
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();

    // Ten who send half a megabyte and then a byte now and then.
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut trickles = Vec::new();
    for _ in 0..10 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        trickles.push(tokio::spawn(async move {
            let head = format!(
                "POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {INGEST_KEY}\r\n\
                 Content-Type: application/json\r\nContent-Length: 8000000\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&[b' '; 500_000]).await.ok();
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            while stream.write_all(b" ").await.is_ok() {
                ticks.tick().await;
            }
        }));
    }
    let kinds = bodies();
    let started = std::time::Instant::now();
    let senders = (0..54).map(|n| {
        let (name, body, gzip, wanted) = &kinds[n % kinds.len()];
        let kind = if *name == "many events" { "application/x-ndjson" } else { "application/json" };
        async move {
            while started.elapsed() < Duration::from_secs(60) {
                // A connection may break where the machine has much else to do.
                let Ok(reply) = post(body.clone(), *gzip, kind).await else { continue };
                let status = reply.status().as_u16();
                let wait =
                    reply.headers().get("retry-after").map(|v| v.to_str().unwrap().to_owned());
                let answer = reply.text().await.unwrap();
                assert!(answer.len() < 4 << 20, "{name}: an answer of {} bytes", answer.len());
                if status != 503 {
                    assert!(wanted.contains(&status), "{name}: {status} {:.500}", answer);
                    return Some((*name, answer));
                }
                let wait = wait.expect("when to come again").parse().unwrap();
                tokio::time::sleep(Duration::from_secs(wait)).await;
            }
            None
        }
    });
    let small = async {
        for n in 0..20 {
            assert_eq!(small(100 + n).await.unwrap().status(), 202, "a live event gets through");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all(senders), small);
    let peak = memory(pid, "VmHWM");
    println!("idle {idle} KiB, at most {} KiB more", peak.saturating_sub(idle));
    for name in kinds.iter().map(|(name, ..)| *name) {
        let through = answers.iter().flatten().filter(|(answered, _)| *answered == name).count();
        println!("{name}: {through} of 6");
    }
    assert!(peak < idle + MOST, "{} KiB more than at rest", peak - idle);
    assert!(answers.iter().flatten().count() >= 10, "some come through");
    trickles.iter().for_each(tokio::task::JoinHandle::abort);
    // Alone it comes through, and the answer is bounded.
    let (_, body, ..) = kinds.into_iter().find(|(name, ..)| *name == "bad names").unwrap();
    let answer: Value = post(body, false, "application/json").await.unwrap().json().await.unwrap();
    let listed = answer["errors"].as_array().unwrap().len();
    assert!(listed <= 1_000 && answer["more_errors"].as_u64().unwrap() > 900_000, "{listed}");
    server.kill().await;
}
