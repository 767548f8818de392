//! The live tail of the log: one query serves everybody who follows it.
//!
//! It has no task of its own. The first follower that wakes after the interval runs the query under
//! a lock, and the others read the result. Without followers it costs nothing.

use std::collections::{BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::queue::views::logs::{LogCursor, LogFilter, LogLine};
use crate::queue::{Queue, QueueError};

/// How often the log is read while somebody follows it.
const INTERVAL: Duration = Duration::from_millis(300);
/// How many lines are kept for followers. A slower follower misses some.
const LINES: usize = 2_000;
/// The most lines of one query: more than arrive during the wait for a lost call.
const LINES_PER_READ: i64 = 2_000;
/// Lines missed during an interruption are read in pages of this size, each after the client has
/// taken the one before.
const PAGE: usize = 100;
/// The most pages that are read this way.
const CATCH_UP: usize = 200;
/// Attempts get their number before they are committed. After this time, no attempt with a lower
/// number can still appear.
const SETTLED: chrono::TimeDelta = chrono::TimeDelta::seconds(10);
/// A call without a reply for this long was given back, or its process has died.
const LOST: chrono::TimeDelta = chrono::TimeDelta::seconds(90);
/// The timeout of a query. All followers wait for it.
const LONGEST_READ: Duration = Duration::from_secs(10);
/// The most followers of one process at a time.
const FOLLOWERS: usize = 500;

/// A line of the tail.
#[derive(Debug, Clone)]
pub struct TailLine {
    /// The `Last-Event-ID` with which to continue after this line. Lines may be repeated after
    /// that, but none is missed.
    pub cursor: String,
    /// The line.
    pub line: LogLine,
}

/// The tail. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tail {
    queue: Queue,
    seen: Arc<Mutex<Seen>>,
    followers: Arc<Semaphore>,
    shutdown: CancellationToken,
}

#[derive(Debug, Default)]
struct Seen {
    read_at: Option<Instant>,
    /// Everything up to here has been delivered.
    floor: Option<LogCursor>,
    /// The calls and attempts above the floor that have been delivered.
    shown_calls: BTreeSet<i64>,
    shown_attempts: BTreeSet<i64>,
    /// The number of the first line in `lines`.
    first: u64,
    lines: VecDeque<TailLine>,
}

impl Tail {
    /// Follows the log of `queue`. `shutdown` ends every stream.
    #[must_use]
    pub fn new(queue: Queue, shutdown: CancellationToken) -> Self {
        let followers = Arc::new(Semaphore::new(FOLLOWERS));
        Self { queue, seen: Arc::default(), followers, shutdown }
    }

    /// Returns the end of a list that is read now, for a client that then follows the log from
    /// there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn begins(&self) -> Result<LogCursor, QueueError> {
        self.queue.newest_log(self.queue.now().await?).await
    }

    /// Follows the log: first the lines after `after`, if it is given, then new ones. Also returns
    /// the start, for a client that is disconnected before the first line. Returns `None` if there
    /// are too many followers.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn follow(
        &self,
        filter: LogFilter,
        after: Option<LogCursor>,
    ) -> Result<Option<(LogCursor, impl Stream<Item = TailLine> + Send + use<>)>, QueueError> {
        let Ok(follower) = Arc::clone(&self.followers).try_acquire_owned() else { return Ok(None) };
        let (floor, next) = self.join().await?;
        let begins = after.unwrap_or(floor);
        let state = Follower {
            tail: self.clone(),
            filter,
            missed: after.map(|after| (after, CATCH_UP)),
            next,
            ready: VecDeque::new(),
            more: after.is_some(),
            _follower: follower,
        };
        Ok(Some((begins, futures_util::stream::unfold(state, Follower::step))))
    }

    /// Returns the position up to which everything was delivered, and the number of the next line.
    async fn join(&self) -> Result<(LogCursor, u64), QueueError> {
        let mut seen = self.seen.lock().await;
        // Lines from the time without followers are skipped. The current follower is already
        // counted.
        let alone = self.followers.available_permits() + 1 >= FOLLOWERS;
        let floor = match seen.floor {
            Some(floor) if !alone => floor,
            _ => {
                let floor = self.begins().await?;
                seen.floor = Some(floor);
                seen.shown_calls.clear();
                seen.shown_attempts.clear();
                seen.read_at = Some(Instant::now());
                floor
            }
        };
        Ok((floor, seen.first + seen.lines.len() as u64))
    }

    /// Returns a page of lines from number `next` on, and the number after them.
    async fn since(&self, next: u64) -> Result<(Vec<TailLine>, u64), QueueError> {
        let mut seen = self.seen.lock().await;
        if seen.read_at.is_none_or(|at| at.elapsed() >= INTERVAL) {
            // Noted before the query, so that the followers do not each query a database that
            // fails.
            seen.read_at = Some(Instant::now());
            let read = tokio::time::timeout(LONGEST_READ, self.read(&mut seen)).await;
            read.unwrap_or_else(|_| Err(sqlx::Error::Io(ErrorKind::TimedOut.into()).into()))?;
        }
        let skip = usize::try_from(next.saturating_sub(seen.first)).unwrap_or(usize::MAX);
        let lines: Vec<TailLine> = seen.lines.iter().skip(skip).take(PAGE).cloned().collect();
        let next = next.max(seen.first) + lines.len() as u64;
        Ok((lines, next))
    }

    async fn read(&self, seen: &mut Seen) -> Result<(), QueueError> {
        let now = self.queue.now().await?;
        let floor = match seen.floor {
            Some(floor) => floor,
            None => self.begins().await?,
        };
        let found =
            self.queue.logs(&LogFilter::default(), Some(floor), LINES_PER_READ).await?.items;
        let (mut call, mut attempt) = (floor.call, floor.attempt);
        let (mut calls_settled, mut tries_settled) = (true, true);
        let mut fresh = Vec::new();
        // Lowest number first: the floor passes lines that were delivered, and numbers that will
        // never be used.
        for line in found.iter().rev() {
            let done = line.class.is_some();
            if line.kind == "call" {
                if done && seen.shown_calls.insert(line.number) {
                    fresh.push(line.clone());
                }
                calls_settled &= done || now - line.at > LOST;
                if calls_settled {
                    call = call.max(line.number);
                }
            } else {
                if seen.shown_attempts.insert(line.number) {
                    fresh.push(line.clone());
                }
                tries_settled &= now - line.at > SETTLED;
                if tries_settled {
                    attempt = attempt.max(line.number);
                }
            }
        }
        seen.shown_calls = seen.shown_calls.split_off(&call.saturating_add(1));
        seen.shown_attempts = seen.shown_attempts.split_off(&attempt.saturating_add(1));
        seen.floor = Some(LogCursor { newer: true, call, attempt });
        fresh.sort_by_key(|line| line.at);
        // A follower that has received some of these lines continues before the first of them.
        let cursor = floor.to_string();
        seen.lines.extend(fresh.into_iter().map(|line| TailLine { cursor: cursor.clone(), line }));
        while seen.lines.len() > LINES {
            seen.lines.pop_front();
            seen.first += 1;
        }
        Ok(())
    }
}

struct Follower {
    tail: Tail,
    filter: LogFilter,
    /// The line after which it continues to read missed lines, and how many pages it may still
    /// read.
    missed: Option<(LogCursor, usize)>,
    /// The number of the next line that all followers share.
    next: u64,
    /// At most one page. The next one is read when the client has taken this one.
    ready: VecDeque<TailLine>,
    /// Whether more lines can be read immediately.
    more: bool,
    _follower: OwnedSemaphorePermit,
}

impl Follower {
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
            // The stream continues when the database is back.
            if let Err(error) = read {
                tracing::debug!(error = %error, "the live log could not read the database");
            }
        }
    }

    /// Reads a page of the missed lines.
    async fn catch_up(&mut self, after: LogCursor, pages: usize) -> Result<(), QueueError> {
        // Calls that are still running are delivered by the shared lines, which begin before the
        // first page.
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

    /// Reads the lines that all followers share.
    async fn go_on(&mut self) -> Result<(), QueueError> {
        let (lines, next) = self.tail.since(self.next).await?;
        self.next = next;
        self.more = lines.len() == PAGE;
        self.ready.extend(lines.into_iter().filter(|line| self.filter.names(&line.line)));
        Ok(())
    }
}
