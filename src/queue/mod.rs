//! What is owed to HubSpot: the only code that touches the queue's tables.
//!
//! The record is the unit of delivery, the queue row the unit of accounting. Every way out of
//! *leased* is fenced by the lease's token, records are locked in the order of their ids, and no
//! transaction outlives the function that opened it. Nothing here knows HTTP.

pub mod account;
pub mod audit;
pub mod breaker;
mod day;
mod decisions;
pub mod doubt;
pub mod enqueue;
pub mod errors;
pub mod gate;
pub mod inspect;
pub mod intake;
pub mod lease;
pub mod ledger;
mod line;
pub mod list;
pub mod logs;
pub mod model;
pub mod notify;
pub mod page;
pub mod preview;
pub mod reap;
pub mod records;
mod refresh;
pub mod retention;
pub mod retry;
pub mod schema;
pub mod settings;
pub mod settle;
pub mod slots;
mod stranded;
pub mod totals;
pub mod why;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{PgPool, Postgres, Transaction};

/// What can go wrong in the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Postgres cannot be reached or is shutting down: the caller may try again later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Any other database error: a fault of ours or of the schema.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The tables are those of another version, which this one cannot bring up to date.
    #[error("{0}")]
    OtherSchema(schema::OtherSchema),
    /// Postgres cannot hold a value: U+0000 in a text, a year beyond its calendar.
    #[error("a value cannot be stored or looked for")]
    Value(#[source] sqlx::Error),
    /// What is stored cannot be read back: written by a newer version or by hand.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        // Class 08: connection, 53: out of resources, 57: shut down or cancelled, 58: the system's own
        // faults, 40: serialisation or deadlock, 25006: a standby, 25P02 and 25P03: a transaction that
        // failed or stood still, 55P03: a lock that was not to be had in time. And whatever lets nobody
        // in: 28: a password or role, 3D: no such database, 55000: one that takes no connections,
        // 42501: a right that was taken away
        // (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        const PASSING: [&str; 13] = [
            "08", "53", "57", "58", "40", "25006", "25P02", "25P03", "55P03", "28", "3D", "55000",
            "42501",
        ];
        let passing = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            // What answers at the address is no Postgres.
            sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(db) => {
                db.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        // Nobody knows where its connection leads, or what it is in the middle of.
        if matches!(&error, sqlx::Error::Database(db)
            if db.code().is_some_and(|code| ["25", "57P", "08"].iter().any(|c| code.starts_with(c))))
        {
            doubt::doubt();
        }
        // Class 22: data exception. What we send ourselves is never one.
        let value = matches!(&error, sqlx::Error::Database(db)
            if db.code().is_some_and(|code| code.starts_with("22")));
        match (passing, value) {
            (true, _) => Self::Unavailable(error),
            (_, true) => Self::Value(error),
            _ => Self::Database(error),
        }
    }
}

/// The portal that everything belongs to for now; the tables already carry the column.
pub const PORTAL: &str = "default";

/// A handle on the queue's tables; cheap to clone.
#[derive(Debug, Clone)]
pub struct Queue {
    pool: PgPool,
    /// Microseconds by which [`Queue::now`] runs ahead of the database; see [`Queue::advance`].
    ahead: Arc<AtomicI64>,
    read: Arc<RwLock<Option<Reading>>>,
    lines: Arc<line::Lines>,
    /// The record behind which the search for stranded rows goes on; see [`Queue::unstrand`].
    unstranded: Arc<AtomicI64>,
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

    fn ahead(&self) -> TimeDelta {
        TimeDelta::microseconds(self.ahead.load(Ordering::SeqCst))
    }

    /// A transaction of the hot path, whose statements go by their indexes: their plans are made
    /// once, perhaps when a table was empty, and must hold when it has millions of rows.
    async fn begin(&self) -> Result<Transaction<'static, Postgres>, QueueError> {
        Ok(doubt::begin_with(&self.pool, BY_INDEX).await?)
    }

    /// The connection pool, for the readiness check and for closing at the end.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}
