//! How far what was sent is ahead of HubSpot.
//!
//! Of every request the last event of each entity is asked for. Rows of one priority go in the order
//! of their arrival, so once these are done the others are too, but for those that wait for something
//! of their own: a retry, or another record. Those hold nothing back.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use crate::cli::exit::{self, Exit};
use crate::cli::remote::{self, Remote};

/// An event to ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Watched {
    id: String,
    source: Option<String>,
}

impl Watched {
    pub(super) fn of(event: &Value) -> Option<Self> {
        let source = event["source"].as_str().map(str::to_owned);
        Some(Self { id: event["id"].as_str()?.to_owned(), source })
    }
}

/// The events of a request.
#[derive(Debug)]
struct Lot {
    end: u64,
    watched: Vec<Watched>,
}

/// What is on its way.
#[derive(Debug)]
pub(super) struct Ahead {
    lots: VecDeque<Lot>,
    arrived: u64,
    failed: u64,
    waiting: u64,
    next: Instant,
    pauses: ExponentialBackoff,
    /// Since when nothing answers.
    silent: Option<Instant>,
}

/// What is to be asked, and when.
#[derive(Debug)]
pub(super) struct Question {
    watched: Watched,
    at: Instant,
}

/// How far an event is.
pub(super) enum Stand {
    Done {
        failed: bool,
    },
    /// It waits for something of its own.
    Waits,
    Open,
}

impl Ahead {
    /// `sent` events were sent before, up to `on_their_way` of which may not have arrived.
    pub(super) fn new(sent: u64, on_their_way: u64, last: Vec<Watched>) -> Self {
        let mut ahead = Self {
            lots: VecDeque::new(),
            arrived: if last.is_empty() { sent } else { sent.saturating_sub(on_their_way) },
            failed: 0,
            waiting: 0,
            next: Instant::now(),
            pauses: pauses(),
            silent: None,
        };
        if !last.is_empty() {
            ahead.sent(sent, last);
        }
        ahead
    }

    /// The events up to `end` were sent; in the order of the file.
    pub(super) fn sent(&mut self, end: u64, watched: Vec<Watched>) {
        self.lots.push_back(Lot { end, watched });
    }

    /// Whether the events up to `end` may be sent, with no more than `most` on their way.
    pub(super) fn room(&self, end: u64, most: u64) -> bool {
        end.saturating_sub(self.arrived) <= most
    }

    /// So many events, from the start of the file on, have arrived.
    pub(super) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Whether nothing more is on its way.
    pub(super) fn is_over(&self) -> bool {
        self.lots.is_empty()
    }

    /// How many of the events that were asked for have failed, and how many wait.
    pub(super) fn left_behind(&self) -> (u64, u64) {
        (self.failed, self.waiting)
    }

    /// What to ask next: for the event that has been on its way for longest.
    pub(super) fn question(&mut self) -> Option<Question> {
        while let Some(lot) = self.lots.front() {
            if let Some(watched) = lot.watched.last() {
                return Some(Question { watched: watched.clone(), at: self.next });
            }
            self.arrived = self.arrived.max(lot.end);
            self.lots.pop_front();
        }
        None
    }

    /// Takes the answer to the last question.
    ///
    /// # Errors
    /// When nothing has answered for longer than `patience`.
    pub(super) fn hear(
        &mut self,
        answer: Option<Stand>,
        remote: &Remote,
        patience: Duration,
    ) -> Result<()> {
        match answer {
            Some(Stand::Open) => self.silent = None,
            None => {
                let since = *self.silent.get_or_insert_with(Instant::now);
                if since.elapsed() > patience {
                    return Err(remote.silent());
                }
            }
            Some(stand) => {
                self.failed += u64::from(matches!(stand, Stand::Done { failed: true }));
                self.waiting += u64::from(matches!(stand, Stand::Waits));
                if let Some(lot) = self.lots.front_mut() {
                    lot.watched.pop();
                }
                (self.silent, self.pauses) = (None, pauses());
                // A lot that is done with counts at once.
                self.question();
                return Ok(());
            }
        }
        let pause = self.pauses.next_backoff().unwrap_or(Duration::from_secs(2));
        self.next = Instant::now() + pause;
        Ok(())
    }
}

/// Asks when it is time to; `None` where the server is away. With `retries` an event that is tried
/// again is still open.
pub(super) async fn ask(
    question: Question,
    remote: &Remote,
    retries: bool,
) -> Result<Option<Stand>> {
    tokio::time::sleep_until(question.at).await;
    inquire(remote, &question.watched, retries).await
}

fn pauses() -> ExponentialBackoff {
    ExponentialBackoff {
        initial_interval: Duration::from_millis(200),
        current_interval: Duration::from_millis(200),
        randomization_factor: 0.0,
        max_interval: Duration::from_secs(2),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    }
}

/// `None` where the server is away.
async fn inquire(remote: &Remote, watched: &Watched, retries: bool) -> Result<Option<Stand>> {
    let id = remote::segment(&watched.id);
    let mut request = remote.request(Method::GET, &format!("/v1/events/{id}"));
    if let Some(source) = &watched.source {
        request = request.query(&[("source", source)]);
    }
    let Ok(reply) = request.send().await else { return Ok(None) };
    let status = reply.status();
    if matches!(status.as_u16(), 408 | 425 | 429 | 500..=504) {
        return Ok(None);
    }
    let Ok(body) = reply.json::<Value>().await else { return Ok(None) };
    match status {
        StatusCode::OK => Ok(Some(stand(&body, retries))),
        // It was stored; if it is not known any more, nothing is owed.
        StatusCode::NOT_FOUND if body["code"] == "unknown_event" => {
            Ok(Some(Stand::Done { failed: false }))
        }
        StatusCode::NOT_FOUND => Err(exit::error(
            Exit::Failed,
            "the server does not tell how far events are: it is too old",
        )),
        _ => Err(remote.refused(status, &body)),
    }
}

fn stand(body: &Value, retries: bool) -> Stand {
    let rows = body["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |row: &Value, status: &str| row["status"] == status;
    let waits = |row: &Value| !row["waiting_for"].is_null() || (is(row, "retry") && !retries);
    let open = |row: &Value| !is(row, "synced") && !is(row, "failed") && !waits(row);
    if rows.iter().any(open) {
        Stand::Open
    } else if rows.iter().any(|row| waits(row) && !is(row, "synced") && !is(row, "failed")) {
        Stand::Waits
    } else {
        Stand::Done { failed: rows.iter().any(|row| is(row, "failed")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_for_something_of_its_own_holds_nothing_back() {
        let of = |rows: Value, retries| match stand(&json!({ "rows": rows }), retries) {
            Stand::Done { failed: true } => "failed",
            Stand::Done { failed: false } => "done",
            Stand::Waits => "waits",
            Stand::Open => "open",
        };
        assert_eq!(of(json!([]), false), "done");
        assert_eq!(of(json!([{ "status": "synced" }, { "status": "failed" }]), false), "failed");
        assert_eq!(of(json!([{ "status": "synced" }, { "status": "pending" }]), false), "open");
        assert_eq!(of(json!([{ "status": "processing", "waiting_for": null }]), false), "open");
        assert_eq!(of(json!([{ "status": "pending", "waiting_for": "dealname" }]), true), "waits");
        assert_eq!(of(json!([{ "status": "retry" }]), false), "waits");
        assert_eq!(of(json!([{ "status": "retry" }]), true), "open");
    }

    #[tokio::test]
    async fn no_more_than_the_bound_is_on_its_way_and_a_resumed_run_asks_for_what_it_left() {
        let watched = || vec![Watched { id: "1".into(), source: None }];
        let fresh = Ahead::new(0, 100, Vec::new());
        assert!(fresh.room(100, 100) && !fresh.room(101, 100));
        let resumed = Ahead::new(1_000, 100, watched());
        assert_eq!((resumed.arrived(), resumed.is_over()), (900, false));
        assert!(resumed.room(1_000, 100) && !resumed.room(1_001, 100));
    }
}
