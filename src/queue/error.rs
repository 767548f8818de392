//! What can go wrong in the queue.

use crate::queue::doubt;
use crate::queue::upkeep::schema;

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
