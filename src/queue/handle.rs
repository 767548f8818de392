//! The handle on the queue: its connections and its clock.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgPool, Postgres, Transaction};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::queue::delivery::due_cursor;
use crate::queue::doubt;
use crate::queue::error::QueueError;

/// The portal that everything belongs to for now; the tables already carry the column.
pub const PORTAL: &str = "default";

/// A handle on the queue's tables; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    pub(in crate::queue) pool: PgPool,
    /// Microseconds by which [`Queue::now`] runs ahead of the database; see [`Queue::advance`].
    pub(in crate::queue) ahead: Arc<AtomicI64>,
    pub(in crate::queue) read: Arc<RwLock<Option<Reading>>>,
    pub(in crate::queue) lines: Arc<due_cursor::Lines>,
    /// The record behind which the search for stranded rows goes on; see [`Queue::unstrand`].
    pub(in crate::queue) unstranded: Arc<AtomicI64>,
}

/// When the database's clock was read last, by this process' own, and what it said.
type Reading = (Instant, DateTime<Utc>);

const BY_INDEX: &str = "BEGIN; SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; \
    SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; SET LOCAL plan_cache_mode = force_generic_plan";

/// The database's clock is read anew after so long.
const CLOCK: Duration = Duration::from_secs(1);

impl Queue {
    /// A queue on `pool`, whose schema must be up to date (see [`Queue::migrate`]).
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let (ahead, read, lines) = (Arc::default(), Arc::default(), Arc::default());
        Self { pool, ahead, read, lines, unstranded: Arc::default() }
    }

    /// The same queue over other connections.
    #[must_use]
    pub fn over(&self, pool: PgPool) -> Self {
        Self { pool, ..self.clone() }
    }

    /// The database's time: the queue's only clock, read once a step.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&self) -> Result<DateTime<Utc>, QueueError> {
        let now: DateTime<Utc> =
            sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&self.pool).await?;
        *self.read.write().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), now));
        Ok(now + self.ahead())
    }

    /// Whether the database can be written to, which a standby cannot.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn writable(&self) -> Result<bool, QueueError> {
        let asked = "SELECT current_setting('transaction_read_only') = 'off'";
        Ok(sqlx::query_scalar(asked).fetch_one(&self.pool).await?)
    }

    /// The database's time as far as it was read within the last second: for the door, which must not
    /// ask for every event. It is late by the way of the answer, never ahead, so no value is ordered by
    /// it.
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

    /// Moves the queue's clock ahead of the database's, for tests that must not sleep.
    pub fn advance(&self, by: TimeDelta) {
        self.ahead.fetch_add(by.num_microseconds().unwrap_or(0), Ordering::SeqCst);
    }

    pub(in crate::queue) fn ahead(&self) -> TimeDelta {
        TimeDelta::microseconds(self.ahead.load(Ordering::SeqCst))
    }

    /// A transaction of the hot path, whose statements go by their indexes: their plans are made
    /// once, perhaps when a table was empty, and must hold when it has millions of rows.
    pub(in crate::queue) async fn begin(
        &self,
    ) -> Result<Transaction<'static, Postgres>, QueueError> {
        Ok(doubt::begin_with(&self.pool, BY_INDEX).await?)
    }

    /// The connection pool, for the readiness check and for closing at the end.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
