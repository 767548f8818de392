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
