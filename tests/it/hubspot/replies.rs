//! Replies that are no replies, through the real client: cut, empty, garbage, late or missing.

use std::time::Duration;

use hubferry::hubspot::classify::Class;
use hubferry::hubspot::client::{Answer, Call, Client, Sender, Settings};
use hubferry::hubspot::paths::Version;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// What the server does with a call once it has read it.
enum Does {
    /// Sends these bytes and closes.
    Says(String),
    /// Closes.
    Closes,
    /// Holds the connection and says no more than these bytes.
    Holds(String),
}

fn head(status: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\nx-hubspot-correlation-id: c-1\r\n{more}\r\n")
}

fn reply(status: &str, body: &str) -> Does {
    Does::Says(head(status, &format!("content-length: {}\r\n", body.len())) + body)
}

async fn ask(port: u16, timeout: Duration) -> Answer {
    let client = Client::new(Settings {
        min_tls: hubferry::hubspot::client::Tls::V1_3,
        api_url: format!("http://127.0.0.1:{port}"),
        version: "2026-09".parse::<Version>().unwrap(),
        token: "secret-token".to_owned().into(),
        timeout,
    });
    let call = Call::post("/crm/objects/x".into(), "upsert".into(), json!({ "inputs": [] }), 1);
    client.unwrap().send(call).await
}

/// No reply takes so long.
const LONG: Duration = Duration::from_secs(30);

async fn answer(does: Does) -> Answer {
    // What never ends is waited for a moment.
    let holds = matches!(does, Does::Holds(_));
    let timeout = if holds { Duration::from_millis(500) } else { LONG };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        // The body is all of `{"inputs":[]}`.
        while !request.ends_with(b"]}") {
            assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
        }
        match does {
            Does::Says(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Does::Closes => {}
            Does::Holds(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                // Ends when the client gives up.
                let _ = stream.read_buf(&mut request).await;
            }
        }
    });
    let answer = ask(port, timeout).await;
    server.await.unwrap();
    answer
}

/// Class, code, status, whether it may have been written, and the call's id.
type Told = (Class, String, Option<u16>, bool, Option<String>);

fn told(answer: Answer) -> Told {
    let failure = answer.result.expect_err("no reply is no success");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.len() > 20), "{failure:?}");
    assert!(!failure.message.is_empty() && !failure.message.contains("127.0.0.1"), "{failure:?}");
    assert_eq!(answer.status, failure.http_status);
    assert_eq!(answer.correlation_id, failure.correlation_id);
    (failure.class, failure.code, failure.http_status, failure.ambiguous, failure.correlation_id)
}

fn lost(code: &str, status: Option<u16>, ambiguous: bool) -> Told {
    (Class::Unavailable, code.to_owned(), status, ambiguous, status.map(|_| "c-1".to_owned()))
}

fn answered(class: Class, code: &str, status: u16) -> Told {
    let ambiguous = class == Class::Unavailable;
    (class, code.to_owned(), Some(status), ambiguous, Some("c-1".to_owned()))
}

#[tokio::test]
async fn a_reply_that_breaks_off_is_no_verdict_and_the_write_may_stand() {
    let whole = r#"{"status":"COMPLETE","results":[{"id":"1"}]}"#;
    for status in ["200 OK", "207 Multi-Status", "400 Bad Request"] {
        let cut = Does::Says(head(status, "content-length: 500\r\n") + &whole[..30]);
        let number = status[..3].parse().unwrap();
        assert_eq!(told(answer(cut).await), lost("CONNECTION_LOST", Some(number), true));
    }
    // Without a length nobody but the JSON tells that it is cut.
    let cut = Does::Says(head("200 OK", "") + &whole[..30]);
    assert_eq!(told(answer(cut).await), lost("BROKEN_REPLY", Some(200), true));
    let stuck = Does::Holds(head("200 OK", "content-length: 500\r\n") + &whole[..30]);
    assert_eq!(told(answer(stuck).await), lost("TIMEOUT", Some(200), true));
}

#[tokio::test]
async fn garbage_and_nothing_where_a_body_is_due_are_no_success() {
    for garbage in ["garbage", "null", "[]", "\"ok\"", "<html></html>", "{\"results\":"] {
        let got = told(answer(reply("200 OK", garbage)).await);
        assert_eq!(got, lost("BROKEN_REPLY", Some(200), true), "{garbage}");
    }
    for status in ["201 Created", "207 Multi-Status"] {
        let number = status[..3].parse().unwrap();
        assert_eq!(
            told(answer(reply(status, " ")).await),
            lost("BROKEN_REPLY", Some(number), true)
        );
    }
    let noise = Does::Says("SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned());
    assert_eq!(told(answer(noise).await), lost("CONNECTION_LOST", None, true));
    let empty = answer(Does::Says(head("204 No Content", ""))).await;
    assert_eq!(empty.result.unwrap(), serde_json::Value::Null);
}

#[tokio::test]
async fn gateways_that_answer_with_a_page_or_nothing_are_classified_by_their_status() {
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    let got = told(answer(reply("502 Bad Gateway", page)).await);
    assert_eq!(got, answered(Class::Unavailable, "HTTP_502", 502));
    let got = told(answer(reply("503 Service Unavailable", "")).await);
    assert_eq!(got, answered(Class::Unavailable, "HTTP_503", 503));
    // The status alone decides here, whole or cut.
    for (status, class, code) in [
        ("429 Too Many Requests", Class::ThrottledWindow, "RATE_LIMIT"),
        ("401 Unauthorized", Class::Unauthorized, "HTTP_401"),
        ("503 Service Unavailable", Class::Unavailable, "HTTP_503"),
    ] {
        let cut = Does::Says(head(status, "content-length: 500\r\n") + "{\"mess");
        let number = status[..3].parse().unwrap();
        assert_eq!(told(answer(cut).await), answered(class, code, number));
    }
    let elsewhere = Does::Says(head("302 Found", "location: /login\r\ncontent-length: 0\r\n"));
    let got = told(answer(elsewhere).await);
    assert_eq!(got, answered(Class::BadRequestWholeBatch, "HTTP_302", 302));
}

#[tokio::test]
async fn a_missing_answer_is_told_from_a_connection_that_was_never_made() {
    let late = told(answer(Does::Holds(String::new())).await);
    assert_eq!(late, lost("TIMEOUT", None, true));
    assert_eq!(told(answer(Does::Closes).await), lost("CONNECTION_LOST", None, true));
    // A port that was free a moment ago refuses.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    assert_eq!(told(ask(port, LONG).await), lost("CONNECTION_REFUSED", None, false));
}
