//! The errors of the queue.

use crate::queue::doubt;
use crate::queue::upkeep::schema;

/// An error of the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// Postgres cannot be reached or is shutting down. The caller may retry later.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// Any other database error, which is a bug in hubferry or in the schema.
    #[error("the database refused a statement")]
    Database(#[source] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the database schema could not be migrated")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// The tables belong to another version, and this version cannot upgrade them.
    #[error("{0}")]
    OtherSchema(schema::OtherSchema),
    /// Postgres cannot store a value: U+0000 in a text, or a year outside its calendar.
    #[error("a value cannot be stored or looked for")]
    Value(#[source] sqlx::Error),
    /// Stored data cannot be read. A newer version or a person wrote it.
    #[error("stored data cannot be read: {0}")]
    Corrupt(String),
}

impl From<sqlx::Error> for QueueError {
    fn from(error: sqlx::Error) -> Self {
        // These errors pass. Class 08: connection. 53: out of resources. 57: shut down or
        // cancelled. 58: system errors. 40: serialisation failure or deadlock. 25006: a standby.
        // 25P02 and 25P03: a transaction that failed or was idle too long. 55P03: a lock that was
        // not available in time. Others refuse the connection or access: 28: a password or role.
        // 3D: no such database. 55000: a database that accepts no connections. 42501: a privilege
        // that was revoked. (https://www.postgresql.org/docs/current/errcodes-appendix.html)
        const PASSING: [&str; 13] = [
            "08", "53", "57", "58", "40", "25006", "25P02", "25P03", "55P03", "28", "3D", "55000",
            "42501",
        ];
        let passing = match &error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed => true,
            // The server at this address is not Postgres.
            sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
            sqlx::Error::Database(db) => {
                db.code().is_some_and(|code| PASSING.iter().any(|class| code.starts_with(class)))
            }
            _ => false,
        };
        // It is not known where the connection leads, or whether a transaction is open on it.
        if matches!(&error, sqlx::Error::Database(db)
            if db.code().is_some_and(|code| ["25", "57P", "08"].iter().any(|c| code.starts_with(c))))
        {
            doubt::doubt();
        }
        // Class 22: data exception. Values that hubferry itself creates never cause one.
        let value = matches!(&error, sqlx::Error::Database(db)
            if db.code().is_some_and(|code| code.starts_with("22")));
        match (passing, value) {
            (true, _) => Self::Unavailable(error),
            (_, true) => Self::Value(error),
            _ => Self::Database(error),
        }
    }
}
