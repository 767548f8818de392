//! Clients that never come to the point.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::World;
use crate::support::binary::Server;

/// Whoever does not say its head in time is let go, a letter at a time or none at all; also between
/// two requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_that_does_not_end_ends_its_connection() {
    let world = World::new().await;
    let settings =
        [("HUBFERRY__SERVER__GRACE_SECONDS", "6"), ("HUBFERRY__SERVER__HEAD_SECONDS", "4")];
    let server = Server::start(&world.database, &world.hubspot_url, &settings).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut clients = Vec::new();
    for n in 0..60 {
        let address = address.clone();
        clients.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("a connection");
            let begun: &[u8] = match n % 3 {
                0 => b"",
                1 => b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ",
                _ => b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
            };
            stream.write_all(begun).await.expect("sent");
            let (mut reads, mut writes) = stream.into_split();
            let trickle = tokio::spawn(async move {
                let mut ticks = tokio::time::interval(Duration::from_millis(100));
                while n % 3 == 1 && writes.write_all(b"a").await.is_ok() {
                    ticks.tick().await;
                }
                // Kept open: it is the server that ends it.
                if n % 3 != 1 {
                    std::future::pending::<()>().await;
                }
            });
            let mut said = Vec::new();
            let end = reads.read_to_end(&mut said);
            tokio::time::timeout(Duration::from_secs(20), end).await.expect("it is ended").ok();
            trickle.abort();
            String::from_utf8_lossy(&said).into_owned()
        }));
    }
    for (n, client) in clients.into_iter().enumerate() {
        let said = client.await.expect("a client");
        assert_eq!(said.starts_with("HTTP/1.1 200"), n % 3 == 2, "{said}");
    }
    // One that is in the middle of its head holds up no shutdown.
    let mut half = TcpStream::connect(&address).await.expect("a connection");
    half.write_all(b"GET /livez HTT").await.expect("sent");
    let alive = world.http.get(format!("{}/livez", server.url)).send().await.expect("an answer");
    assert_eq!(alive.status(), 200);
    assert!(server.terminate().await.success());
}

/// Sends requests whose answers it never reads.
async fn deaf(address: &str, requests: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(requests);
    // Once it does not read them any more, it has enough.
    let sent = stream.write_all(&request);
    tokio::time::timeout(Duration::from_millis(500), sent).await.ok();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_nothing_of_what_it_asked_for_is_let_go() {
    let world = World::new().await;
    let settings = [("HUBFERRY__SERVER__STALL_SECONDS", "2")];
    let server = Server::start(&world.database, &world.hubspot_url, &settings).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let mut stream = deaf(&address, 2_000).await;
    let gone = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while stream.write_all(b"\r\n").await.is_ok() {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(15), gone).await.expect("it is let go");
    server.kill().await;
}

/// More clients than there are places, none of which reads: somebody else is served all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_keep_nobody_out() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).ok();
    let files = limit.maximum.unwrap_or(100_000).min(100_000) as usize;
    let clients = 11_000.min(files.saturating_sub(2_000));
    let world = World::new().await;
    let server = Server::start(&world.database, &world.hubspot_url, &[]).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let url = format!("{}/livez", server.url);
    let mut coming = Vec::new();
    let mut crowd = Vec::new();
    let ask = async || {
        let asked = std::time::Instant::now();
        // A client of its own each time, with a connection of its own.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        assert_eq!(http.get(&url).send().await.expect("an answer").status(), 200);
        asked.elapsed()
    };
    while crowd.len() < clients {
        let some = (0..500).map(|n| deaf(&address, if n % 25 == 0 { 50 } else { 1 }));
        crowd.extend(futures_util::future::join_all(some).await);
        coming.push(ask().await);
    }
    let mut there = Vec::new();
    for _ in 0..20 {
        there.push(ask().await);
    }
    coming.sort();
    there.sort();
    println!("{} clients, /livez while they come: {coming:?}, then: {there:?}", crowd.len());
    // While five hundred connect at once, from this machine and to a program that is not optimized,
    // little is left of it; `make bounds` measures.
    let longest = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });
    assert!(coming.last().is_some_and(|slowest| *slowest < longest), "{coming:?}");
    assert!(there[17] < Duration::from_secs(1), "{there:?}");
    server.kill().await;
}
