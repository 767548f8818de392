//! Follows the sent events until HubSpot has them: how far the sender is ahead, and what failed.
//!
//! It asks for every event, a thousand at a time, in the order of the file. Rows of one priority
//! are sent in the order of their arrival. The last events of each request are therefore asked for
//! first, and the others once these are done. An event that is retried does not delay others: it is
//! asked for at the end. An event that waits for another record is counted and not followed.

mod stand;

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::failures::Failure;
use super::watched::Watched;
use crate::cli::exit::{self, Exit};
use crate::cli::remote::Remote;
pub(super) use stand::Stand;
use stand::stand;

/// How many events one request asks for at most; the server takes no more.
const MOST: usize = 1_000;
/// How many are asked for to see whether a request's events are done.
const PROBE: usize = 20;

/// The events of a request that are not done.
#[derive(Debug)]
struct Lot {
    end: u64,
    open: Vec<Watched>,
    /// Whether its last events are done, so that the others should be.
    probed: bool,
}

/// The events that wait for HubSpot.
#[derive(Debug)]
pub(super) struct Ahead {
    lots: VecDeque<Lot>,
    /// Events that HubSpot refused for now and that are retried.
    retrying: VecDeque<Watched>,
    /// How many events may be waiting for HubSpot.
    most: u64,
    arrived: u64,
    waiting: u64,
    next: Instant,
    pauses: ExponentialBackoff,
    /// Since when the server does not answer.
    silent: Option<Instant>,
}

/// What is to be asked, and when.
#[derive(Debug)]
pub(super) struct Question {
    watched: Vec<Watched>,
    /// Whether they are the last open ones of the oldest request, else the first that are retried.
    of_lot: bool,
    at: Instant,
}

/// How far each event of a question is.
#[derive(Debug)]
pub(super) struct Answer {
    of_lot: bool,
    events: Vec<(Watched, Stand)>,
}

impl Ahead {
    /// Events before `sent` are not asked for; up to `most` may be on their way.
    pub(super) fn new(sent: u64, most: u64) -> Self {
        Self {
            lots: VecDeque::new(),
            retrying: VecDeque::new(),
            most,
            arrived: sent,
            waiting: 0,
            next: Instant::now(),
            pauses: pauses(),
            silent: None,
        }
    }

    /// The events up to `end` were sent; in the order of the file.
    pub(super) fn sent(&mut self, end: u64, open: Vec<Watched>) {
        self.lots.push_back(Lot { end, open, probed: false });
    }

    /// Whether the events up to `end` may be sent.
    pub(super) fn room(&self, end: u64) -> bool {
        let retrying = self.retrying.len() as u64;
        end.saturating_sub(self.arrived) + retrying <= self.most
    }

    /// So many events, from the start of the file on, are done, wait, or are tried again.
    pub(super) fn arrived(&self) -> u64 {
        self.arrived
    }

    /// So many events, from the start of the file on, need not be asked for again.
    pub(super) fn done(&self) -> u64 {
        self.retrying.iter().map(|event| event.ordinal).fold(self.arrived, u64::min)
    }

    /// Whether no event waits for HubSpot any more.
    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.lots.is_empty() && self.retrying.is_empty()
    }

    /// How many events wait.
    pub(super) fn waiting(&self) -> u64 {
        self.waiting
    }

    /// What to ask next: of the oldest request, else of what is tried again.
    pub(super) fn question(&mut self) -> Option<Question> {
        self.arrive();
        let of_lot = !self.lots.is_empty();
        let watched = match self.lots.front() {
            Some(lot) => {
                let most = if lot.probed { MOST } else { PROBE };
                lot.open[lot.open.len().saturating_sub(most)..].to_vec()
            }
            None => self.retrying.iter().take(MOST).cloned().collect(),
        };
        (!watched.is_empty()).then_some(Question { watched, of_lot, at: self.next })
    }

    /// Leaves behind the requests whose events are all done.
    fn arrive(&mut self) {
        while let Some(lot) = self.lots.front().filter(|lot| lot.open.is_empty()) {
            self.arrived = self.arrived.max(lot.end);
            self.lots.pop_front();
        }
    }

    /// Takes the answer to the last question, `None` where the server is away, and returns what
    /// failed.
    ///
    /// # Errors
    /// When nothing has answered for longer than `patience`.
    pub(super) fn hear(
        &mut self,
        answer: Option<Answer>,
        remote: &Remote,
        patience: Duration,
    ) -> Result<Vec<(Watched, Vec<Failure>)>> {
        let Some(answer) = answer else {
            let since = *self.silent.get_or_insert_with(Instant::now);
            if since.elapsed() > patience {
                return Err(remote.silent());
            }
            self.pause();
            return Ok(Vec::new());
        };
        self.silent = None;
        let Answer { of_lot, events } = answer;
        let (asked, mut open, mut failed) = (events.len(), Vec::new(), Vec::new());
        let lot = if of_lot { self.lots.front_mut() } else { None };
        match lot {
            Some(lot) => lot.open.truncate(lot.open.len().saturating_sub(asked)),
            None => drop(self.retrying.drain(..asked.min(self.retrying.len()))),
        }
        for (watched, stand) in events {
            match stand {
                Stand::Done => {}
                Stand::Failed(failures) => failed.push((watched, failures)),
                Stand::Waits => self.waiting += 1,
                // Behind the others: each of them has its turn.
                Stand::Retries => self.retrying.push_back(watched),
                Stand::Open if of_lot => open.push(watched),
                Stand::Open => self.retrying.push_back(watched),
            }
        }
        let all_open = open.len() == asked;
        if let Some(lot) = self.lots.front_mut().filter(|_| of_lot) {
            lot.probed |= open.is_empty();
            lot.open.extend(open);
        }
        // What moves is asked again at once, what stands still later and later.
        if all_open || !of_lot {
            self.pause();
        } else {
            self.pauses = pauses();
        }
        self.arrive();
        Ok(failed)
    }

    fn pause(&mut self) {
        self.next = Instant::now() + self.pauses.next_backoff().unwrap_or(Duration::from_secs(2));
    }
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

/// Asks when it is time to.
///
/// # Errors
/// When the server refuses, or does not know the question.
pub(super) async fn ask(question: Question, remote: &Remote) -> Result<Option<Answer>> {
    tokio::time::sleep_until(question.at).await;
    let named: Vec<Value> =
        question.watched.iter().map(|w| json!({ "id": w.id, "source": w.source })).collect();
    let request = remote.request(Method::POST, "/v1/event-status");
    let Ok(reply) = request.json(&json!({ "events": named })).send().await else {
        return Ok(None);
    };
    let status = reply.status();
    if matches!(status.as_u16(), 408 | 425 | 429 | 500..=504) {
        return Ok(None);
    }
    let Ok(body) = reply.json::<Value>().await else { return Ok(None) };
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND => {
            let message = "the server cannot say how far events are: it is older than this command";
            return Err(exit::error(Exit::Failed, message));
        }
        _ => return Err(remote.refused(status, &body)),
    }
    let told = body["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    if told.len() != question.watched.len() {
        return Err(remote.stranger(status));
    }
    let events = question.watched.into_iter().zip(told.iter().map(stand)).collect();
    Ok(Some(Answer { of_lot: question.of_lot, events }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_something_of_its_own_holds_nothing_back() {
        let of = |rows: Value| match stand(&json!({ "rows": rows })) {
            Stand::Failed(failures) => format!("{} failed", failures.len()),
            other => format!("{other:?}"),
        };
        let pending = json!({ "status": "pending" });
        let waiting = json!({ "status": "pending", "waiting_for": "dealname" });
        assert_eq!(of(json!([])), "Done");
        assert_eq!(of(json!([{ "status": "synced" }, { "status": "failed" }])), "1 failed");
        assert_eq!(of(json!([{ "status": "synced" }, pending])), "Open");
        assert_eq!(of(json!([{ "status": "processing", "waiting_for": null }])), "Open");
        assert_eq!(of(json!([waiting])), "Waits");
        assert_eq!(of(json!([waiting, { "status": "failed" }])), "1 failed");
        assert_eq!(of(json!([{ "status": "retry" }, waiting])), "Retries");
        assert_eq!(of(json!([{ "status": "retry" }, { "status": "failed" }])), "Retries");
    }

    #[tokio::test]
    async fn no_more_than_the_bound_is_on_its_way_and_every_event_is_asked_for() {
        let sent = |range: std::ops::Range<u64>| {
            range.map(|n| Watched { ordinal: n, line: n, id: n.to_string(), source: None })
        };
        let mut ahead = Ahead::new(1_000, 100);
        assert!(ahead.room(1_100) && !ahead.room(1_101));
        ahead.sent(1_050, sent(1_000..1_050).collect());
        let mut asked = Vec::new();
        let mut retried = false;
        let remote = Remote::for_tests();
        while let Some(question) = ahead.question() {
            let events = question.watched.iter().map(|watched| {
                asked.push(watched.line);
                let again = watched.line == 1_010 && !std::mem::replace(&mut retried, true);
                (watched.clone(), if again { Stand::Retries } else { Stand::Done })
            });
            let answer = Answer { of_lot: question.of_lot, events: events.collect() };
            // A request that is sent meanwhile is not what was asked for.
            if !question.of_lot && ahead.lots.is_empty() && asked.len() == 51 {
                ahead.sent(1_060, sent(1_050..1_060).collect());
            }
            ahead.hear(Some(answer), &remote, Duration::from_secs(1)).unwrap();
        }
        asked.sort_unstable();
        let mut all: Vec<u64> = (1_000..1_060).collect();
        all.insert(10, 1_010);
        assert_eq!((asked, ahead.arrived(), ahead.is_over()), (all, 1_060, true));
    }
}
