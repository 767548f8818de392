//! A simulated HubSpot that accepts every batch of writes at once and returns it unchanged. The
//! sandbox answers all other calls. A benchmark against it measures hubferry's own work, not the
//! simulation.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::value::RawValue;
use tokio::net::TcpListener;
use tokio::sync::watch;

use hubspot_sandbox::{Sandbox, Settings};

/// A running echo.
pub(super) struct Echo {
    pub(super) url: String,
    seen: Arc<Seen>,
    _running: tokio_util::sync::DropGuard,
}

struct Seen {
    inputs: AtomicU64,
    /// When the last batch came.
    last: watch::Sender<Instant>,
    /// When each record came last, by our key.
    arrivals: Mutex<HashMap<String, Instant>>,
}

#[derive(serde::Deserialize)]
struct Key<'a> {
    hubferry_id: Option<&'a str>,
}

#[derive(serde::Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    inputs: Vec<Input<'a>>,
}

#[derive(serde::Deserialize)]
struct Input<'a> {
    id: Option<&'a str>,
    #[serde(rename = "objectWriteTraceId")]
    trace: Option<&'a str>,
    #[serde(borrow)]
    properties: &'a RawValue,
}

impl Echo {
    pub(super) async fn start() -> Result<Self> {
        let (last, _) = watch::channel(Instant::now());
        let seen = Arc::new(Seen { inputs: AtomicU64::new(0), last, arrivals: Mutex::default() });
        let sandbox = Sandbox::new(Settings { limit_per_10s: 1_000_000, ..Settings::default() });
        let path = "/crm/objects/{version}/{kind}/batch/{operation}";
        let router = Router::new()
            .route(path, post(echo))
            .with_state(Arc::clone(&seen))
            .fallback_service(sandbox.router());
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let stop = tokio_util::sync::CancellationToken::new();
        let ended = stop.clone();
        super::spawn(async move {
            tokio::select! {
                served = axum::serve(listener, router) => drop(served),
                () = ended.cancelled() => {}
            }
        });
        Ok(Self { url, seen, _running: stop.drop_guard() })
    }

    /// Inputs of all batches so far.
    pub(super) fn inputs(&self) -> u64 {
        self.seen.inputs.load(Ordering::SeqCst)
    }

    /// When the record with our key `key` came last.
    pub(super) fn arrival(&self, key: &str) -> Option<Instant> {
        self.seen.arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    /// Hears of each batch when it arrives.
    pub(super) fn watch(&self) -> watch::Receiver<Instant> {
        self.seen.last.subscribe()
    }
}

async fn echo(
    State(seen): State<Arc<Seen>>,
    Path((_, _, operation)): Path<(String, String, String)>,
    body: axum::body::Bytes,
) -> Response {
    let arrived = Instant::now();
    let Ok(batch) = serde_json::from_slice::<Batch<'_>>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let before = seen.inputs.fetch_add(batch.inputs.len() as u64, Ordering::SeqCst);
    seen.last.send_replace(arrived);
    let mut answer = String::with_capacity(body.len() + 100 * batch.inputs.len());
    answer.push_str(r#"{"status":"COMPLETE","results":["#);
    let mut arrivals = seen.arrivals.lock().unwrap_or_else(PoisonError::into_inner);
    for (place, input) in batch.inputs.iter().enumerate() {
        let key = serde_json::from_str::<Key<'_>>(input.properties.get()).ok();
        if let Some(key) = key.and_then(|key| key.hubferry_id) {
            arrivals.insert(key.to_owned(), arrived);
        }
        if place > 0 {
            answer.push(',');
        }
        let number = (before + place as u64 + 1).to_string();
        // An upsert's id is our key; HubSpot's own is new.
        let id = if operation == "update" { input.id.unwrap_or(&number) } else { &number };
        answer.push_str(&format!(
            r#"{{"id":"{id}","objectWriteTraceId":"{}","properties":{},"createdAt":"2026-01-01T00:00:00.000Z","updatedAt":"2026-01-01T00:00:00.000Z","archived":false}}"#,
            input.trace.unwrap_or_default(),
            input.properties.get(),
        ));
    }
    answer.push_str(
        r#"],"startedAt":"2026-01-01T00:00:00.000Z","completedAt":"2026-01-01T00:00:00.000Z"}"#,
    );
    ([("content-type", "application/json")], answer).into_response()
}
