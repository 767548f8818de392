//! Notifications that wake waiting workers. Each transaction sends at most one; polling covers lost
//! ones.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool};
use tokio::time::timeout;

use crate::queue::{Queue, QueueError};

const DUE: &str = "hubferry_due";
const SETTINGS: &str = "hubferry_settings";

/// After this time without a notification, the connection is checked.
const QUIET: Duration = Duration::from_secs(30);
/// A connection that does not answer the check within this time is closed.
const ANSWER: Duration = Duration::from_secs(10);

/// Notifies every process, at commit, that something may be due.
pub(in crate::queue) async fn notify(db: &mut PgConnection) -> Result<(), QueueError> {
    tell(db, DUE).await
}

/// Notifies every process, at commit, that settings were stored.
pub(in crate::queue) async fn notify_settings(db: &mut PgConnection) -> Result<(), QueueError> {
    tell(db, SETTINGS).await
}

async fn tell(db: &mut PgConnection, channel: &str) -> Result<(), QueueError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(db).await?;
    Ok(())
}

impl Queue {
    /// Notifies every process that something may be due, outside any transaction of a caller.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::queue) async fn notify_due(&self) -> Result<(), QueueError> {
        // Nothing is written, so the commit need not wait for the disk. One query string is one
        // transaction, which ends with the string, whatever happens. With an explicit BEGIN, a
        // NOTIFY that fails would leave the connection inside the transaction.
        let tell = "SET LOCAL synchronous_commit = off; NOTIFY hubferry_due";
        match timeout(ANSWER, sqlx::raw_sql(tell).execute(&self.pool)).await {
            Ok(told) => told.map(drop)?,
            Err(_) => return Err(silent()),
        }
        Ok(())
    }
}

fn silent() -> QueueError {
    sqlx::Error::Io(ErrorKind::TimedOut.into()).into()
}

/// What a listener was notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something may be due.
    Due,
    /// Settings were stored.
    Settings,
    /// The connection was lost and made again, so any notification may have been missed.
    Lost,
}

/// Receives notifications, and reconnects by itself.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Subscribes with a connection of its own. The pool may contain lost connections, so up to all
    /// of them are tried at once, without waiting in between.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(pool: &PgPool) -> Result<Self, QueueError> {
        let mut lost = 0;
        loop {
            let mut listener = PgListener::connect_with(pool).await?;
            match timeout(ANSWER, listener.listen_all([DUE, SETTINGS])).await {
                Ok(Ok(())) => return Ok(Self(listener)),
                Ok(Err(_)) if lost < pool.options().get_max_connections() => lost += 1,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => return Err(silent()),
            }
        }
    }

    /// Waits for the next notification. If none arrives for long, the connection is checked,
    /// because a lost connection would otherwise stay silent.
    ///
    /// # Errors
    /// When the connection is lost and cannot be made again, or does not answer.
    pub async fn heard(&mut self) -> Result<Heard, QueueError> {
        let heard = loop {
            match timeout(QUIET, self.0.try_recv()).await {
                Ok(heard) => break heard?,
                Err(_) => match timeout(ANSWER, sqlx::query("SELECT 1").execute(&mut self.0)).await
                {
                    Ok(answer) => {
                        answer?;
                    }
                    Err(_) => return Err(silent()),
                },
            }
        };
        Ok(match heard {
            Some(said) if said.channel() == SETTINGS => Heard::Settings,
            Some(_) => Heard::Due,
            None => Heard::Lost,
        })
    }
}
