//! The live tail of the log: one look into the database serves everybody who watches.
//!
//! No task of its own: whoever wakes first after the interval looks, under a lock, and the others
//! read what was found. Nobody watching costs nothing.

use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::queue::views::logs::{LogCursor, LogFilter, LogLine};
use crate::queue::{Queue, QueueError};

/// How often the log is looked at while somebody watches.
const INTERVAL: Duration = Duration::from_millis(300);
/// So many lines are kept for those who watch; who is slower misses some.
const KEPT: usize = 2_000;
/// So many lines are read at a look: more than come while a lost call is waited for.
const A_LOOK: i64 = 2_000;
/// What came while somebody was away is read a page at a time, when the one before was taken.
const PAGE: usize = 100;
/// In so many pages at most.
const CATCH_UP: usize = 200;
/// Tries are numbered before they are committed: one that is so old has no younger brother to come.
const SETTLED: chrono::TimeDelta = chrono::TimeDelta::seconds(10);
/// A call without a reply for so long was given back, or its process has died.
const LOST: chrono::TimeDelta = chrono::TimeDelta::seconds(90);
/// No look takes longer; all who watch wait for it.
const LONGEST_LOOK: Duration = Duration::from_secs(10);
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
    /// Calls and tries above the floor that have been told.
    told: BTreeSet<i64>,
    tried: BTreeSet<i64>,
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

    /// Where a list that is read from now on leaves off, for who follows the log behind it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begins(&self) -> Result<LogCursor, QueueError> {
        self.queue.newest_log(self.queue.now().await?).await
    }

    /// Follows the log: first what came after `after`, if that is given, then what comes. Says where
    /// that begins, for who is cut off before the first line. `None`: too many watch already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow(
        &self,
        filter: LogFilter,
        after: Option<LogCursor>,
    ) -> Result<Option<(LogCursor, impl Stream<Item = TailLine> + Send + use<>)>, QueueError> {
        let Ok(watching) = Arc::clone(&self.watchers).try_acquire_owned() else { return Ok(None) };
        let (floor, next) = self.join().await?;
        let begins = after.unwrap_or(floor);
        let state = Watcher {
            tail: self.clone(),
            filter,
            missed: after.map(|after| (after, CATCH_UP)),
            next,
            ready: VecDeque::new(),
            more: after.is_some(),
            _watching: watching,
        };
        Ok(Some((begins, futures_util::stream::unfold(state, Watcher::step))))
    }

    /// The place behind which nobody has been told all, and the number of the next line.
    async fn join(&self) -> Result<(LogCursor, u64), QueueError> {
        let mut seen = self.seen.lock().await;
        // What came while nobody watched is of no interest. This watcher holds a place already.
        let alone = self.watchers.available_permits() + 1 >= WATCHERS;
        let floor = match seen.floor {
            Some(floor) if !alone => floor,
            _ => {
                let floor = self.begins().await?;
                seen.floor = Some(floor);
                seen.told.clear();
                seen.tried.clear();
                seen.looked = Some(Instant::now());
                floor
            }
        };
        Ok((floor, seen.first + seen.lines.len() as u64))
    }

    /// A page of the lines from number `next` on, and the number after them.
    async fn since(&self, next: u64) -> Result<(Vec<TailLine>, u64), QueueError> {
        let mut seen = self.seen.lock().await;
        if seen.looked.is_none_or(|at| at.elapsed() >= INTERVAL) {
            // Noted first: a database that fails is not asked by each in turn.
            seen.looked = Some(Instant::now());
            let look = tokio::time::timeout(LONGEST_LOOK, self.look(&mut seen)).await;
            look.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into()).into()))?;
        }
        let skip = usize::try_from(next.saturating_sub(seen.first)).unwrap_or(usize::MAX);
        let lines: Vec<TailLine> = seen.lines.iter().skip(skip).take(PAGE).cloned().collect();
        let next = next.max(seen.first) + lines.len() as u64;
        Ok((lines, next))
    }

    async fn look(&self, seen: &mut Seen) -> Result<(), QueueError> {
        let now = self.queue.now().await?;
        let floor = match seen.floor {
            Some(floor) => floor,
            None => self.begins().await?,
        };
        let found = self.queue.logs(&LogFilter::default(), Some(floor), A_LOOK).await?.items;
        let (mut call, mut attempt) = (floor.call, floor.attempt);
        let (mut calls_settled, mut tries_settled) = (true, true);
        let mut fresh = Vec::new();
        // Oldest number first: the floor rises over what is told, and over what will never be.
        for line in found.iter().rev() {
            let done = line.class.is_some();
            if line.kind == "call" {
                if done && seen.told.insert(line.number) {
                    fresh.push(line.clone());
                }
                calls_settled &= done || now - line.at > LOST;
                if calls_settled {
                    call = call.max(line.number);
                }
            } else {
                if seen.tried.insert(line.number) {
                    fresh.push(line.clone());
                }
                tries_settled &= now - line.at > SETTLED;
                if tries_settled {
                    attempt = attempt.max(line.number);
                }
            }
        }
        seen.told = seen.told.split_off(&call.saturating_add(1));
        seen.tried = seen.tried.split_off(&attempt.saturating_add(1));
        seen.floor = Some(LogCursor { newer: true, call, attempt });
        fresh.sort_by_key(|line| line.at);
        // Where somebody goes on who heard some of these: before the first of them.
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
    /// Behind which line it goes on in what it has missed, and how many pages of that it may read.
    missed: Option<(LogCursor, usize)>,
    /// The next line of those that all watch.
    next: u64,
    /// No more than a page: what a client has not taken yet is read when it takes it.
    ready: VecDeque<TailLine>,
    /// Whether there is more to read at once.
    more: bool,
    _watching: OwnedSemaphorePermit,
}

impl Watcher {
    async fn step(mut self) -> Option<(TailLine, Self)> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some((line, self));
            }
            if self.more {
                self.more = false;
            } else {
                tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = self.tail.shutdown.cancelled() => return None,
                }
            }
            let read = match self.missed {
                Some((after, pages)) => self.catch_up(after, pages).await,
                None => self.go_on().await,
            };
            // The stream goes on when the database is back.
            if let Err(error) = read {
                tracing::debug!(error = %error, "the tail met no database");
            }
        }
    }

    /// Reads a page of what was missed.
    async fn catch_up(&mut self, after: LogCursor, pages: usize) -> Result<(), QueueError> {
        // Calls that are on their way are left to what all are told, which begins before the first page.
        let limit = i64::try_from(PAGE).unwrap_or(i64::MAX);
        let listing = self.tail.queue.logs(&self.filter, Some(after), limit).await?;
        let cursor = after.to_string();
        let on = listing.prev.as_deref().and_then(|prev| prev.parse().ok());
        self.missed = on.filter(|_| pages > 1).map(|on| (on, pages - 1));
        self.more = true;
        let lines = listing.items.into_iter().rev().filter(|line| line.class.is_some());
        self.ready.extend(lines.map(|line| TailLine { cursor: cursor.clone(), line }));
        Ok(())
    }

    /// Reads what all who watch are told.
    async fn go_on(&mut self) -> Result<(), QueueError> {
        let (lines, next) = self.tail.since(self.next).await?;
        self.next = next;
        self.more = lines.len() == PAGE;
        self.ready.extend(lines.into_iter().filter(|line| self.filter.names(&line.line)));
        Ok(())
    }
}
