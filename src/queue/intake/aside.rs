//! Holds requests about records that another transaction has locked for long. They wait here, so
//! that the lanes can store other requests.
//!
//! One request waits for each such record, on a connection that no lane uses. At most
//! [`CONNECTIONS`] requests wait this way. Later requests about the same record queue up behind it
//! and are stored together.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use crate::queue::Queue;
use crate::queue::intake::enqueue::RecordKey;
use crate::queue::intake::lane::Lane;
use crate::queue::intake::request::{News, Request, away};

/// The number of connections that may wait for records at the same time.
const CONNECTIONS: usize = 2;
/// The number of requests that may wait to enter the list. The list may hold as many again.
const WAITING: usize = 256;
/// How long a request waits. Postgres ends a transaction that has been idle for ten seconds.
const PATIENCE: Duration = Duration::from_secs(12);

/// A request, and the records that it waits for.
#[derive(Debug)]
pub(super) struct Blocked {
    request: Request,
    keys: Vec<RecordKey>,
    since: Instant,
}

/// The records that requests wait for, with the number of waiting requests.
pub(super) type Held = Arc<Mutex<HashMap<RecordKey, usize>>>;

/// Where lanes put the requests that they must not wait for.
#[derive(Debug, Clone)]
pub(super) struct Aside {
    requests: mpsc::Sender<Blocked>,
    held: Held,
}

impl Aside {
    pub(super) fn new() -> (Self, mpsc::Receiver<Blocked>) {
        let (requests, blocked) = mpsc::channel(WAITING);
        (Self { requests, held: Held::default() }, blocked)
    }

    pub(super) fn held(&self) -> Held {
        Arc::clone(&self.held)
    }

    /// Removes from `group` the requests about a record that others already wait for.
    pub(super) fn take(&self, group: &mut Vec<Request>) {
        *group = std::mem::take(group).into_iter().filter_map(|r| self.unless_held(r)).collect();
    }

    /// Returns `request`, unless it is about a record that others already wait for.
    pub(super) fn unless_held(&self, request: Request) -> Option<Request> {
        let keys: Vec<RecordKey> = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            if held.is_empty() {
                return Some(request);
            }
            request.keys().filter(|key| held.contains_key(key)).collect()
        };
        if keys.is_empty() {
            return Some(request);
        }
        self.put(request, Some(keys));
        None
    }

    /// Removes from `group` the requests about `locked` records.
    pub(super) fn wait(&self, group: &mut Vec<Request>, locked: &HashSet<RecordKey>) {
        for request in std::mem::take(group) {
            let keys: Vec<RecordKey> = request.keys().filter(|key| locked.contains(key)).collect();
            if keys.is_empty() {
                group.push(request);
            } else {
                self.put(request, Some(keys));
            }
        }
    }

    /// Makes `request` wait for `keys`. If it is not known which record is locked, it waits for any
    /// of its own.
    pub(super) fn put(&self, request: Request, keys: Option<Vec<RecordKey>>) {
        let mut keys = keys.unwrap_or_else(|| request.keys().collect());
        keys.sort_unstable();
        keys.dedup();
        {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            for key in &keys {
                *held.entry(key.clone()).or_default() += 1;
            }
        }
        let blocked = Blocked { request, keys, since: Instant::now() };
        if let Err(full) = self.requests.try_send(blocked) {
            let Blocked { request, keys, .. } = full.into_inner();
            release(&self.held, &keys);
            let _ = request.answer.send(Err(away(sqlx::Error::PoolTimedOut)));
        }
    }
}

fn release(held: &Held, keys: &[RecordKey]) {
    let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
    for key in keys {
        if let Some(waiting) = held.get_mut(key) {
            *waiting -= 1;
            if *waiting == 0 {
                held.remove(key);
            }
        }
    }
}

/// Stores the requests that arrive through `requests`, until the channel closes.
pub(super) async fn wait_aside(
    queue: &Queue,
    mut requests: mpsc::Receiver<Blocked>,
    held: &Held,
    news: &News,
) {
    let (mut waiting, mut running) = (VecDeque::<Blocked>::new(), FuturesUnordered::new());
    let (mut busy, mut open) = (HashSet::<RecordKey>::new(), true);
    loop {
        while running.len() < CONNECTIONS {
            let free = |blocked: &Blocked| blocked.keys.iter().all(|key| !busy.contains(key));
            let Some(next) = waiting.iter().position(free).and_then(|n| waiting.remove(n)) else {
                break;
            };
            // Requests that wait for no other record are stored with it.
            let (same, others) = std::mem::take(&mut waiting)
                .into_iter()
                .partition(|b: &Blocked| b.keys.iter().all(|key| next.keys.contains(key)));
            waiting = others;
            busy.extend(next.keys.iter().cloned());
            let turn: VecDeque<Blocked> =
                std::iter::once(next).chain::<VecDeque<_>>(same).collect();
            running.push(store(queue, turn));
        }
        tokio::select! {
            blocked = requests.recv(), if open && waiting.len() < WAITING => match blocked {
                Some(blocked) => waiting.push_back(blocked),
                None => open = false,
            },
            Some((stored, waited_for)) = running.next() => {
                for keys in waited_for {
                    release(held, &keys);
                    for key in &keys {
                        busy.remove(key);
                    }
                }
                if stored {
                    news.tell();
                }
            }
            else => return,
        }
    }
}

/// Stores the first request of `turn` once its records are unlocked, then the others together, or
/// one by one. Returns whether anything was stored, and the records that each request waited for.
async fn store(queue: &Queue, turn: VecDeque<Blocked>) -> (bool, Vec<Vec<RecordKey>>) {
    let mut lane = Lane { queue, db: None };
    let (mut stored, mut waited_for) = (false, Vec::with_capacity(turn.len()));
    let (mut requests, mut since) = (VecDeque::new(), VecDeque::new());
    for blocked in turn {
        waited_for.push(blocked.keys);
        requests.push_back(blocked.request);
        since.push_back(blocked.since);
    }
    while let Some((request, since)) = requests.pop_front().zip(since.pop_front()) {
        let mut alone = vec![request];
        // Zero would mean no timeout.
        let left = PATIENCE.saturating_sub(since.elapsed()).max(Duration::from_millis(1));
        match lane.store_all(&mut alone, left).await {
            Ok(()) if !stored => {
                stored = true;
                let mut rest = Vec::from(requests);
                // If they fail together, each one is tried alone.
                let _ = lane.store_all(&mut rest, left).await;
                requests = VecDeque::from(rest);
            }
            Ok(()) => {}
            Err(error) => {
                if let Some(Request { answer, .. }) = alone.pop() {
                    let _ = answer.send(Err(error));
                }
            }
        }
    }
    (stored, waited_for)
}
