//! Delivers one batch to the server. It retries while the server is unavailable, and sends the
//! batch again without the events that the server refuses.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::batch::Batch;
use super::rejects::Refused;
use super::watched::Watched;
use crate::cli::exit::{self, Exit};
use crate::cli::input::Item;
use crate::cli::remote::Remote;
use crate::cli::text;
use crate::event::Fault;

/// The result of a batch.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// The ordinal of its first event.
    pub(super) start: u64,
    /// The ordinal after its last event.
    pub(super) end: u64,
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) refused: Vec<Refused>,
    /// Whether the rest of it was stored. It was not where something was refused and may not be
    /// left out.
    pub(super) stored: bool,
    /// The stored events.
    pub(super) watched: Vec<Watched>,
}

/// Sends batches.
pub(super) struct Courier {
    pub(super) remote: Remote,
    pub(super) skip_invalid: bool,
    /// How long a request is retried.
    pub(super) patience: Duration,
    /// Ends all retries.
    pub(super) stop: CancellationToken,
    trouble: Mutex<Option<String>>,
}

/// The result of one request.
enum Reply {
    Stored(Value),
    Refused(Vec<Fault>),
    /// More than the server accepts in one request.
    TooLarge,
}

/// Why a request is retried, and when at the earliest.
struct Away {
    why: String,
    not_before: Option<Duration>,
}

/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

impl Courier {
    pub(super) fn new(
        remote: Remote,
        skip_invalid: bool,
        patience: Duration,
        stop: CancellationToken,
    ) -> Self {
        Self { remote, skip_invalid, patience, stop, trouble: Mutex::default() }
    }

    /// Why a request is being retried, if one is.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Delivers `batch`.
    ///
    /// # Errors
    /// When the server is unavailable for longer than the patience, refuses the key, or answers something
    /// unexpected; and when the run is stopped meanwhile.
    pub(super) async fn deliver(&self, batch: Batch) -> Result<Delivered> {
        let start = batch.items.first().map_or(batch.end, |item| item.ordinal);
        let mut done = Delivered { start, end: batch.end, ..Delivered::default() };
        let (sound, broken): (Vec<Item>, Vec<Item>) =
            batch.items.into_iter().partition(|item| item.event.is_ok());
        done.refused.extend(broken.into_iter().map(|item| Refused::new(item, Vec::new())));
        let mut parts = vec![sound];
        // Every round sends a part, leaves an event out, or halves a part.
        while let Some(mut part) = parts.pop() {
            if part.is_empty() || (!done.refused.is_empty() && !self.skip_invalid) {
                continue;
            }
            match self.post(&part).await? {
                Reply::Stored(answer) => done.count(&part, &answer),
                Reply::TooLarge if part.len() == 1 => {
                    let detail = "the event alone is more than the server takes".to_owned();
                    let faults = vec![Fault::new(0, "", "body_too_large", detail)];
                    done.refused.extend(part.pop().map(|item| Refused::new(item, faults)));
                }
                Reply::TooLarge => {
                    let rest = part.split_off(part.len() / 2);
                    parts.extend([rest, part]);
                }
                Reply::Refused(faults) => {
                    let (rest, refused) = divide(part, faults);
                    done.refused.extend(refused);
                    parts.push(rest);
                }
            }
        }
        done.refused.sort_by_key(|refused| refused.line);
        done.stored = done.refused.is_empty() || self.skip_invalid;
        Ok(done)
    }

    /// Posts `items`, and retries while the server is unavailable.
    async fn post(&self, items: &[Item]) -> Result<Reply> {
        let mut body = String::new();
        for event in items.iter().filter_map(|item| item.event.as_ref().ok()) {
            body.push_str(&event.to_string());
            body.push('\n');
        }
        let mut pauses = ExponentialBackoff {
            initial_interval: Duration::from_millis(200),
            current_interval: Duration::from_millis(200),
            max_interval: Duration::from_secs(20),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let started = Instant::now();
        loop {
            let away = match self.try_once(body.clone()).await? {
                Ok(reply) => {
                    *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    return Ok(reply);
                }
                Err(away) => away,
            };
            let pause = pauses.next_backoff().unwrap_or(LONGEST_WAIT);
            let pause = pause.max(away.not_before.unwrap_or_default());
            if started.elapsed() + pause > self.patience {
                let spent = text::span(started.elapsed());
                let message = format!("{}; given up after {spent}", away.why);
                return Err(exit::error(Exit::Unanswered, message));
            }
            *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(away.why);
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => {
                    return Err(exit::error(Exit::Interrupted, "interrupted while the server was unavailable"));
                }
            }
        }
    }

    async fn try_once(&self, body: String) -> Result<Result<Reply, Away>> {
        let request = self.remote.request(Method::POST, "/v1/events");
        let request = request.header(header::CONTENT_TYPE, "application/x-ndjson").body(body);
        let reply = match request.send().await {
            Ok(reply) => reply,
            Err(error) => {
                let how =
                    if error.is_timeout() { "does not answer in time" } else { "does not answer" };
                let why = format!("{} {how}", self.remote.url());
                return Ok(Err(Away { why, not_before: None }));
            }
        };
        let status = reply.status();
        let wait =
            reply.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.parse().ok());
        let not_before = wait.map(|s| Duration::from_secs(s).min(LONGEST_WAIT));
        let away = || Away { why: format!("{} answers {status}", self.remote.url()), not_before };
        if matches!(status.as_u16(), 408 | 425 | 429 | 502..=504) {
            return Ok(Err(away()));
        }
        let body: Value = match reply.json().await {
            Ok(body) => body,
            // Whether a cut reply was a 202 is not known: asking again is harmless.
            Err(error) if !error.is_decode() || status == StatusCode::ACCEPTED => {
                return Ok(Err(away()));
            }
            Err(_) => return Err(self.remote.stranger(status)),
        };
        Ok(Ok(match status.as_u16() {
            202 => Reply::Stored(body),
            413 => Reply::TooLarge,
            409 | 422 => match faults(&body) {
                faults if faults.is_empty() => return Err(self.remote.refused(status, &body)),
                faults => Reply::Refused(faults),
            },
            _ => return Err(self.remote.refused(status, &body)),
        }))
    }
}

impl Delivered {
    fn count(&mut self, part: &[Item], answer: &Value) {
        self.accepted += answer["accepted"].as_u64().unwrap_or(0);
        self.duplicates += answer["duplicates"].as_u64().unwrap_or(0);
        self.watched.extend(part.iter().filter_map(Watched::of));
    }
}

/// The faults of a refusal, bounded by the server.
fn faults(problem: &Value) -> Vec<Fault> {
    let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |error: &Value, key: &str| error[key].as_str().unwrap_or_default().to_owned();
    errors
        .iter()
        .filter_map(|error| {
            let index = usize::try_from(error["index"].as_u64()?).ok()?;
            Some(Fault::new(
                index,
                text(error, "pointer"),
                text(error, "code"),
                text(error, "detail"),
            ))
        })
        .collect()
}

/// The items without a fault, and those with theirs. A place that is none is taken for the last, so that every round leaves something out.
fn divide(part: Vec<Item>, faults: Vec<Fault>) -> (Vec<Item>, Vec<Refused>) {
    let mut by_place: BTreeMap<usize, Vec<Fault>> = BTreeMap::new();
    for fault in faults {
        by_place.entry(fault.index.min(part.len() - 1)).or_default().push(fault);
    }
    let (mut rest, mut refused) = (Vec::new(), Vec::new());
    for (place, item) in part.into_iter().enumerate() {
        match by_place.remove(&place) {
            Some(faults) => refused.push(Refused::new(item, faults)),
            None => rest.push(item),
        }
    }
    (rest, refused)
}
