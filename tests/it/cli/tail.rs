//! `logs --follow`: nothing that comes is missed or told twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::command;
use crate::support::binary::Server;
use crate::support::{ADMIN_KEY, World, user};

const AT: &str = "2026-01-01T10:00:00Z";

fn follow(url: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let environment = [("HUBFERRY_URL", url), ("HUBFERRY_ADMIN_KEY", ADMIN_KEY)];
    let mut child = command(&["logs", "--follow", "--json"], &environment).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// The lines up to one with the wanted purpose.
async fn up_to(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str) -> Vec<Value> {
    let mut heard: Vec<Value> = Vec::new();
    let look = async {
        while heard.last().is_none_or(|item| item["purpose"] != wanted) {
            let line = lines.next_line().await.unwrap().expect("a line");
            heard.push(serde_json::from_str(&line).expect("JSON"));
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(60), look).await;
    assert!(came.is_ok(), "{wanted} does not come: {heard:?}");
    heard
}

#[tokio::test]
async fn a_tail_shows_what_comes_and_outlives_the_server() {
    let world = World::new().await;
    let server = Server::start(&world.database, &world.hubspot_url, &[]).await;
    let address = server.url.trim_start_matches("http://").to_owned();
    let (mut child, mut lines) = follow(&server.url);
    world.accept(&user("1", "u-1", AT, json!({ "email": "a@example.com" }))).await;
    let first = up_to(&mut lines, "upsert contacts").await.pop().unwrap();
    assert_eq!(first["http_status"].as_u64().unwrap() / 100, 2, "{first}");
    server.kill().await;
    let again = [("HUBFERRY_LISTEN", &*address)];
    let server = Server::start(&world.database, &world.hubspot_url, &again).await;
    world.accept(&user("2", "u-1", AT, json!({ "email": "b@example.com" }))).await;
    up_to(&mut lines, "update contacts").await;
    let pid = rustix::process::Pid::from_raw(child.id().unwrap() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().await.unwrap().code(), Some(130));
    assert!(server.terminate().await.success());
}

/// A way to `world` on which a user is synced before each request is let through.
async fn eventful(world: &Arc<World>) -> String {
    let (world, passed) = (Arc::clone(world), Arc::new(AtomicUsize::new(0)));
    let pass = move |request: Request| {
        let (world, passed) = (Arc::clone(&world), Arc::clone(&passed));
        async move {
            let n = passed.fetch_add(1, Ordering::SeqCst);
            let data = json!({ "email": format!("u{n}@example.com") });
            world.accept(&user(&format!("e-{n}"), &format!("u-{n}"), AT, data)).await;
            world.drain().await;
            let url = format!("{}{}", world.url, request.uri());
            let reply = world.http.get(url).headers(request.headers().clone()).send().await;
            let reply = reply.expect("the server answers");
            let mut passed_on = Response::new(Body::empty());
            *passed_on.status_mut() = reply.status();
            *passed_on.headers_mut() = reply.headers().clone();
            *passed_on.body_mut() = Body::from_stream(reply.bytes_stream());
            passed_on
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(pass);
    tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
    url
}

#[tokio::test]
async fn what_happens_while_a_tail_begins_is_told_once() {
    let world = Arc::new(World::new().await);
    let (mut child, mut lines) = follow(&eventful(&world).await);
    let mut heard = vec![lines.next_line().await.unwrap().expect("a line")];
    while heard.len() < 2 {
        let next = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        heard.push(next.expect("the second call is told").unwrap().expect("a line"));
    }
    // What comes after both is the end: nothing is told again before it.
    world.accept(&user("last", "u-0", AT, json!({ "email": "last@example.com" }))).await;
    world.drain().await;
    let heard: Vec<Value> =
        heard.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<&Value> = heard.iter().map(|line| &line["call_id"]).collect();
    assert_ne!(ids[0], ids[1], "{heard:?}");
    let rest = up_to(&mut lines, "update contacts").await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    child.kill().await.unwrap();
}
