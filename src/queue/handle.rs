//! The handle that all code uses to reach the queue: its database connections and its clock.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::event::DEFAULT_PORTAL;
use crate::queue::delivery::due_cursor;
use crate::queue::doubt;
use crate::queue::error::QueueError;

/// A handle on the queue's tables, for one portal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The portal whose records, rows, calls, gates and settings this handle reads and changes.
    portal: Arc<str>,
    pub(in crate::queue) pool: PgPool,
    /// Microseconds by which [`Queue::now`] runs ahead of the database; see [`Queue::advance`].
    pub(in crate::queue) ahead: Arc<AtomicI64>,
    pub(in crate::queue) read: Arc<RwLock<Option<Reading>>>,
    pub(in crate::queue) cursors: Arc<due_cursor::DueCursors>,
    /// The record after which the search for stranded rows continues; see [`Queue::unstrand`].
    pub(in crate::queue) unstranded: Arc<AtomicI64>,
    /// The event after which the search for events to empty continues; see
    /// [`Queue::empty_erased_events`].
    pub(in crate::queue) erasures: Arc<AtomicI64>,
}

/// When this process last read the database's clock, on its own clock, and the time that it read.
type Reading = (Instant, DateTime<Utc>);

const BY_INDEX: &str = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = force_generic_plan";

/// The database's clock is read again after this time.
const CLOCK: Duration = Duration::from_secs(1);

impl Queue {
    /// Creates a queue on `pool` for the portal `default`. Its schema must be up to date (see
    /// [`Queue::migrate`]).
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let (ahead, read, cursors) = (Arc::default(), Arc::default(), Arc::default());
        let portal = Arc::from(DEFAULT_PORTAL);
        let (unstranded, erasures) = (Arc::default(), Arc::default());
        Self { portal, pool, ahead, read, cursors, unstranded, erasures }
    }

    /// Returns the queue of another portal, over the same connections and the same clock.
    #[must_use]
    pub fn of(&self, portal: &str) -> Self {
        Self { portal: Arc::from(portal), cursors: Arc::default(), ..self.clone() }
    }

    /// The name of the portal.
    #[must_use]
    pub fn portal(&self) -> &str {
        &self.portal
    }

    /// Returns the same queue with other connections.
    #[must_use]
    pub fn over(&self, pool: PgPool) -> Self {
        Self { pool, ..self.clone() }
    }

    /// The database's time. This is the queue's only clock, and each step reads it once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>, QueueError> {
        let now: DateTime<Utc> =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), now));
        Ok(now + self.ahead())
    }

    /// Whether the database accepts writes. A standby does not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn writable(&self) -> Result<bool, QueueError> {
        let asked = "SELECT current_setting('transaction_read_only') = 'off'";
        Ok(sqlx::query_scalar(asked).fetch_one(&self.pool).await?)
    }

    /// The database's time, from a reading that is at most a second old. The HTTP API uses it,
    /// because it must not ask the database for every event. The time may be late by as long as the
    /// answer took, but it is never ahead. So it must not decide the order of values.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn about_now(&self) -> Result<DateTime<Utc>, QueueError> {
        let read = *self.read.read().unwrap_or_else(PoisonError::into_inner);
        match read {
            Some((at, now)) if at.elapsed() < CLOCK => Ok(now + at.elapsed() + self.ahead()),
            _ => self.now().await,
        }
    }

    /// Moves the queue's clock ahead of the database's clock, for tests that must not sleep.
    pub fn advance(&self, by: TimeDelta) {
        self.ahead.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
    }

    pub(in crate::queue) fn ahead(&self) -> TimeDelta {
        TimeDelta::microseconds(self.ahead.load(Ordering::SeqCst))
    }

    /// Begins a transaction of the hot path, which forces index plans. Its plans are made once,
    /// perhaps while a table was empty, and must still work when the table has millions of rows.
    pub(in crate::queue) async fn begin(
        &self,
    ) -> Result<Transaction<'static, Postgres>, QueueError> {
        Ok(doubt::begin_with(&self.pool, BY_INDEX).await?)
    }

    /// The connection pool, for the readiness check and for closing it at shutdown.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
