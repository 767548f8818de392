//! A server between two others that notes what passes, and misbehaves as told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

/// What becomes of a POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It is answered with this status and never arrives.
    Answer(u16),
    /// It arrives, and its answer is held back until [`Proxy::release`].
    Hold,
}

/// A request that came by.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub body: Value,
}

struct Inner {
    target: String,
    http: reqwest::Client,
    seen: Mutex<Vec<Seen>>,
    script: Mutex<VecDeque<Option<Act>>>,
    held: watch::Sender<usize>,
    release: Notify,
    at_once: Mutex<(usize, usize)>,
}

#[derive(Clone)]
pub struct Proxy {
    pub url: String,
    inner: Arc<Inner>,
}

impl Proxy {
    /// Passes everything on to `target`; POST requests as `script` says, then all.
    pub async fn start(target: &str, script: &[Option<Act>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            target: target.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            seen: Mutex::default(),
            script: Mutex::new(script.iter().copied().collect()),
            held: watch::Sender::new(0),
            release: Notify::new(),
            at_once: Mutex::default(),
        });
        let router = axum::Router::new().fallback(pass).with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// What came by so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// Waits until an answer is held back.
    pub async fn holds(&self) {
        self.inner.held.subscribe().wait_for(|held| *held > 0).await.unwrap();
    }

    /// Lets held answers go.
    pub fn release(&self) {
        self.inner.release.notify_waiters();
    }

    /// The most POST requests that were there at the same time.
    pub fn most_at_once(&self) -> usize {
        self.inner.at_once.lock().unwrap().1
    }
}

async fn pass(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let act = if parts.method == "POST" {
        inner.seen.lock().unwrap().push(Seen {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        });
        let mut at_once = inner.at_once.lock().unwrap();
        at_once.0 += 1;
        at_once.1 = at_once.1.max(at_once.0);
        inner.script.lock().unwrap().pop_front().flatten()
    } else {
        None
    };
    let answer = match act {
        Some(Act::Answer(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        act => {
            let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
            let url = format!("{}{path}", inner.target);
            let mut headers = parts.headers.clone();
            headers.remove("host");
            let request = inner.http.request(parts.method.clone(), url).headers(headers);
            let released = inner.release.notified();
            let answer = request.body(body).send().await.expect("the target answers");
            let status = answer.status();
            let headers = answer.headers().clone();
            let bytes: Bytes = answer.bytes().await.expect("a body");
            if act == Some(Act::Hold) {
                inner.held.send_modify(|held| *held += 1);
                released.await;
            }
            let mut response = (status, bytes).into_response();
            for name in ["content-type", "retry-after"] {
                if let Some(value) = headers.get(name) {
                    response.headers_mut().insert(name, value.clone());
                }
            }
            for (name, value) in &headers {
                if name.as_str().starts_with("x-hubspot") {
                    response.headers_mut().insert(name.clone(), value.clone());
                }
            }
            response
        }
    };
    if parts.method == "POST" {
        inner.at_once.lock().unwrap().0 -= 1;
    }
    answer
}
