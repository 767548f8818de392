//! What the process itself needs: a log that may fail, an orderly end, TLS and its certificates.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::support::binary::{Server, hubferry, serve};
use crate::support::{ADMIN_KEY, World};

fn signal(child: &Child) {
    let pid = Pid::from_raw(child.id().expect("running") as i32).expect("a pid");
    kill_process(pid, Signal::TERM).expect("a signal");
}

/// A port that is free.
async fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

async fn answers(http: &reqwest::Client, url: &str) -> bool {
    let asked = http.get(url).timeout(Duration::from_secs(5)).send().await;
    asked.is_ok_and(|reply| reply.status().is_success())
}

/// Serves with a standard error of this kind, asks much, and stops; answers what was lost.
async fn with_log(log: Stdio, keep: impl FnOnce(&mut Child)) -> f64 {
    let world = World::new().await;
    let listen = format!("127.0.0.1:{}", port().await);
    let settings = [
        ("HUBFERRY_LISTEN", listen.as_str()),
        ("RUST_LOG", "trace"),
        ("HUBFERRY__SERVER__DRAIN_SECONDS", "0"),
    ];
    let mut child =
        serve(&world.database, &world.hubspot_url, &settings).stderr(log).spawn().unwrap();
    keep(&mut child);
    let livez = format!("http://{listen}/livez");
    let ready = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(100));
        while !answers(&world.http, &livez).await {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), ready).await.expect("it serves");
    let mut lost = 0.0;
    for n in 0..20_000 {
        assert!(answers(&world.http, &livez).await, "it goes on");
        if n % 200 == 0 {
            let metrics = world.http.get(format!("http://{listen}/metrics")).send().await.unwrap();
            let metrics = metrics.text().await.unwrap();
            let told =
                metrics.lines().find_map(|l| l.strip_prefix("hubferry_log_lines_lost_total "));
            lost = told.map_or(0.0, |lost| lost.parse().unwrap());
            if lost > 100.0 {
                break;
            }
        }
    }
    signal(&child);
    let end = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    assert!(end.expect("it stops").unwrap().success());
    lost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_whose_reader_is_gone_takes_nothing_down() {
    let lost = with_log(Stdio::piped(), |child| drop(child.stderr.take())).await;
    assert!(lost > 100.0, "{lost} lines were counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_takes_nothing_down() {
    let mut kept = None;
    let lost = with_log(Stdio::piped(), |child| kept = child.stderr.take()).await;
    assert!(lost > 100.0, "{lost} lines were counted");
    drop(kept);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_on_a_full_disk_takes_nothing_down() {
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let lost = with_log(full.into(), |_| {}).await;
    assert!(lost > 100.0, "{lost} lines were counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_it_stops_it_says_that_it_is_not_ready_and_goes_on_serving() {
    let world = World::new().await;
    let settings = [("HUBFERRY__SERVER__DRAIN_SECONDS", "3")];
    let mut child = serve(&world.database, &world.hubspot_url, &settings)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = loop {
        let line = log.next_line().await.unwrap().expect("it starts");
        let line: Value = serde_json::from_str(&line).unwrap_or_default();
        if line["message"] == "ready" {
            break line["server.address"].as_str().unwrap().to_owned();
        }
    };
    let ask = async |path: &str| {
        // Each time over a connection of its own, as a balancer's new ones.
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.get(format!("http://{address}{path}")).send().await
    };
    assert_eq!(ask("/readyz").await.unwrap().status(), 200);
    signal(&child);
    let noticed = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("not ready any more") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), noticed).await.expect("it says so");
    let refused = ask("/readyz").await.unwrap();
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "stopping");
    assert_eq!(ask("/livez").await.unwrap().status(), 200, "new connections are served");
    let end = tokio::time::timeout(Duration::from_secs(20), async {
        while log.next_line().await.unwrap().is_some() {}
        child.wait().await.unwrap()
    });
    assert!(end.await.expect("it stops").success());
    assert!(ask("/livez").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_needs_no_certificates_and_https_says_that_they_are_missing() {
    let none = [("SSL_CERT_FILE", "/no/such/file"), ("SSL_CERT_DIR", "/no/such/folder")];
    let world = World::new().await;
    let server = Server::start(&world.database, &world.hubspot_url, &none).await;
    let run = async |args: &[&str], more: &[(&str, &str)]| {
        let mut command: Command = hubferry(args);
        let command = command.envs(none).envs(more.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().await.unwrap()
    };
    let listen = server.url.trim_start_matches("http://").to_owned();
    let healthy = run(&["health"], &[("HUBFERRY_LISTEN", &listen)]).await;
    assert!(healthy.status.success(), "{healthy:?}");
    let key = [("HUBFERRY_ADMIN_KEY", ADMIN_KEY)];
    let status = run(&["status", "--url", &server.url], &key).await;
    assert!(status.status.success(), "{status:?}");
    let status = run(&["status", "--url", "https://127.0.0.1:9"], &key).await;
    let said = String::from_utf8(status.stderr).unwrap();
    assert!(said.contains("CA certificates") && said.contains("SSL_CERT_FILE"), "{said}");
    let setup = run(&["setup", "--check"], &[("HUBSPOT_API_KEY", "pat")]).await;
    let said = String::from_utf8(setup.stderr).unwrap();
    assert!(said.contains("CA certificates"), "{said}");
    server.kill().await;
}

/// The versions of TLS that a call to HubSpot offers: the extension of its first message.
async fn offered(min_tls: &str) -> Vec<[u8; 2]> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let mut child = hubferry(&["setup", "--check"])
        .envs([("HUBSPOT_API_URL", url.as_str()), ("HUBSPOT_API_KEY", "pat")])
        .env("HUBFERRY__HUBSPOT__MIN_TLS", min_tls)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut stream, _) = listener.accept().await.unwrap();
    let mut hello = vec![0; 5];
    stream.read_exact(&mut hello).await.unwrap();
    let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
    stream.read_exact(&mut rest).await.unwrap();
    child.kill().await.unwrap();
    // Type 43, the length of what follows, and how long the list is.
    let at = rest.windows(4).position(|w| w[..3] == [0, 43, 0] && w[3] <= 5).expect("versions");
    let list = &rest[at + 5..][..usize::from(rest[at + 4])];
    list.chunks(2).map(|version| [version[0], version[1]]).collect()
}

#[tokio::test]
async fn hubspot_is_spoken_to_by_tls_1_3_unless_a_setting_says_1_2() {
    assert_eq!(offered("1.3").await, [[3, 4]]);
    assert_eq!(offered("1.2").await, [[3, 4], [3, 3]]);
    for (name, value, said) in [
        ("HUBFERRY__HUBSPOT__MIN_TLS", "1.1", "hubspot.min_tls: must be \"1.3\" or \"1.2\""),
        ("HUBSPOT_API_URL", "http://api.example.com", "must begin with https://"),
        ("HUBSPOT_API_URL", "http://localhost.example.com", "must begin with https://"),
    ] {
        let output = hubferry(&["check"]).env(name, value).output().await.unwrap();
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(said), "{text}");
    }
    for local in ["http://127.0.0.1:8090", "http://[::1]:8090", "http://localhost:8090"] {
        let output = hubferry(&["check"]).env("HUBSPOT_API_URL", local).output().await.unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_https_cookies_are_secure_and_browsers_stay_with_it() {
    let world = World::new().await;
    for (url, secure) in [("https://hubferry.example.com", true), ("http://10.0.0.1", false)] {
        let settings = [("HUBFERRY__SERVER__PUBLIC_URL", url)];
        let server = Server::start(&world.database, &world.hubspot_url, &settings).await;
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let sign_in = http.post(format!("{}/admin/sign-in", server.url));
        let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
        let welcome = sign_in.body(format!("key={ADMIN_KEY}")).send().await.unwrap();
        let cookie = welcome.headers()["set-cookie"].to_str().unwrap().to_owned();
        assert_eq!(cookie.contains("; Secure"), secure, "{cookie}");
        for path in ["/livez", "/admin/sign-in", "/v1/events/x", "/nowhere"] {
            let reply = http.get(format!("{}{path}", server.url)).send().await.unwrap();
            let kept = reply.headers().get("strict-transport-security");
            assert_eq!(kept.is_some(), secure, "{path}");
            let cors = reply.headers().keys().any(|n| n.as_str().starts_with("access-control"));
            assert!(!cors, "{path}: no page elsewhere may read an answer");
        }
        server.kill().await;
    }
}
