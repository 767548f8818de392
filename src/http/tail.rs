//! The live tail of the log: one look into the database serves everybody who watches.
//!
//! No task of its own: whoever wakes first after the interval looks, under a lock, and the others
//! read what was found. Nobody watching costs nothing.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::queue::logs::{LogCursor, LogFilter, LogLine};
use crate::queue::{Queue, QueueError};

/// How often the log is looked at while somebody watches.
const INTERVAL: Duration = Duration::from_millis(300);
/// So many lines are kept for those who watch; who is slower misses some.
const KEPT: usize = 2_000;
/// So many lines are read at a look.
const A_LOOK: i64 = 500;
/// A call without a reply for so long was given back, or its process has died.
const LOST: chrono::TimeDelta = chrono::TimeDelta::seconds(90);
/// So many may watch one process at a time.
const WATCHERS: usize = 500;

/// A line of the tail.
#[derive(Debug, Clone)]
pub struct TailLine {
    /// What `Last-Event-ID` names to go on behind it; what follows may repeat lines, never miss one.
    pub cursor: String,
    /// The line.
    pub line: LogLine,
}

/// The tail; cheap to clone.
#[derive(Debug, Clone)]
pub struct Tail {
    queue: Queue,
    seen: Arc<Mutex<Seen>>,
    watchers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    /// Everything up to here has been told.
    floor: Option<LogCursor>,
    /// Calls above the floor that have been told.
    told: BTreeSet<i64>,
    /// The number of the first line in `lines`.
    first: u64,
    lines: VecDeque<TailLine>,
}

impl Tail {
    /// The tail of `queue`'s log; `shutdown` ends every stream.
    #[must_use]
    pub fn new(queue: Queue, shutdown: CancellationToken) -> Self {
        let watchers = Arc::new(Semaphore::new(WATCHERS));
        Self { queue, seen: Arc::default(), watchers, shutdown }
    }

    /// Follows the log: first what came after `after`, if that is given, then what comes. `None`:
    /// too many watch already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow(
        &self,
        filter: LogFilter,
        after: Option<LogCursor>,
    ) -> Result<Option<impl Stream<Item = TailLine> + Send + 'static + use<>>, QueueError> {
        let Ok(watching) = Arc::clone(&self.watchers).try_acquire_owned() else { return Ok(None) };
        let mut missed = VecDeque::new();
        let next = self.join().await?;
        if let Some(after) = after {
            let listing = self.queue.logs(&filter, Some(after), A_LOOK).await?;
            let cursor = LogCursor { newer: true, ..after }.to_string();
            missed.extend(
                listing
                    .items
                    .into_iter()
                    .rev()
                    .map(|line| TailLine { cursor: cursor.clone(), line }),
            );
        }
        let state =
            Watcher { tail: self.clone(), filter, next, ready: missed, _watching: watching };
        Ok(Some(futures_util::stream::unfold(state, Watcher::step)))
    }

    /// The number of the next line.
    async fn join(&self) -> Result<u64, QueueError> {
        let mut seen = self.seen.lock().await;
        // After a while without anybody, what came meanwhile is of no interest.
        if seen.floor.is_none() || seen.looked.is_none_or(|at| at.elapsed() > 4 * INTERVAL) {
            seen.floor = Some(self.queue.newest_log().await?);
            seen.told.clear();
            seen.looked = Some(Instant::now());
        }
        Ok(seen.first + seen.lines.len() as u64)
    }

    /// The lines from number `next` on, and the number after them.
    async fn since(&self, next: u64) -> Result<(Vec<TailLine>, u64), QueueError> {
        let mut seen = self.seen.lock().await;
        if seen.looked.is_none_or(|at| at.elapsed() >= INTERVAL) {
            // Noted first: a database that fails is not asked by each in turn.
            seen.looked = Some(Instant::now());
            self.look(&mut seen).await?;
        }
        let skip = usize::try_from(next.saturating_sub(seen.first)).unwrap_or(usize::MAX);
        let lines = seen.lines.iter().skip(skip).cloned().collect();
        Ok((lines, seen.first + seen.lines.len() as u64))
    }

    async fn look(&self, seen: &mut Seen) -> Result<(), QueueError> {
        let floor = match seen.floor {
            Some(floor) => floor,
            None => self.queue.newest_log().await?,
        };
        let now = self.queue.now().await?;
        let found = self.queue.logs(&LogFilter::default(), Some(floor), A_LOOK).await?.items;
        let (mut call, mut attempt) = (floor.call, floor.attempt);
        let mut settled = true;
        let mut fresh = Vec::new();
        let mut calls: Vec<&LogLine> = found.iter().filter(|l| l.kind == "call").collect();
        calls.sort_by_key(|line| line.number);
        for line in calls {
            let done = line.class.is_some();
            if done && seen.told.insert(line.number) {
                fresh.push(line.clone());
            }
            // The floor rises over what is told, and over what will never be.
            settled &= done || now - line.at > LOST;
            if settled {
                call = line.number;
            }
        }
        for line in found.iter().filter(|l| l.kind == "attempt") {
            attempt = attempt.max(line.number);
            fresh.push(line.clone());
        }
        seen.told = seen.told.split_off(&(call + 1));
        let floor = LogCursor { newer: true, call, attempt };
        seen.floor = Some(floor);
        fresh.sort_by_key(|line| line.at);
        let cursor = floor.to_string();
        seen.lines.extend(fresh.into_iter().map(|line| TailLine { cursor: cursor.clone(), line }));
        while seen.lines.len() > KEPT {
            seen.lines.pop_front();
            seen.first += 1;
        }
        Ok(())
    }
}

struct Watcher {
    tail: Tail,
    filter: LogFilter,
    next: u64,
    ready: VecDeque<TailLine>,
    _watching: OwnedSemaphorePermit,
}

impl Watcher {
    async fn step(mut self) -> Option<(TailLine, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((line, self));
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = self.tail.shutdown.cancelled() => return None,
            }
            match self.tail.since(self.next).await {
                Ok((lines, next)) => {
                    self.next = next;
                    self.ready.extend(lines.into_iter().filter(|l| self.filter.names(&l.line)));
                }
                // The stream goes on when the database is back.
                Err(error) => tracing::debug!(error = %error, "the tail met no database"),
            }
        }
    }
}
