//! Waking whoever waits: one notification a transaction, polling where it is lost.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool};
use tokio::time::timeout;

use crate::queue::{Queue, QueueError};

const DUE: &str = "hubferry_due";
const SETTINGS: &str = "hubferry_settings";

/// After so long without a notification the connection is asked whether it stands.
const QUIET: Duration = Duration::from_secs(30);
/// It answers within this time, or is given up.
const ANSWER: Duration = Duration::from_secs(10);

/// Tells every process, at commit, that something may be due.
pub(in crate::queue) async fn notify(db: &mut PgConnection) -> Result<(), QueueError> {
    tell(db, DUE).await
}

/// Tells every process, at commit, that settings were stored.
pub(in crate::queue) async fn notify_settings(db: &mut PgConnection) -> Result<(), QueueError> {
    tell(db, SETTINGS).await
}

async fn tell(db: &mut PgConnection, channel: &str) -> Result<(), QueueError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(channel).execute(db).await?;
    Ok(())
}

impl Queue {
    /// Tells every process that something may be due, in no transaction of anybody's.
    ///
    /// # Errors
    /// When the database fails.
    pub(in crate::queue) async fn notify_due(&self) -> Result<(), QueueError> {
        // Nothing is written that would have to reach the disk. One text is one transaction, which
        // ends with it whatever happens; with a BEGIN in it, a NOTIFY that fails would leave the
        // connection inside.
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

/// What was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// Something may be due.
    Due,
    /// Settings were stored.
    Settings,
    /// The connection was lost and made again: anything may have been missed.
    Lost,
}

/// Hears the notifications; reconnects by itself.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Subscribes with one connection of its own. The pool may hand out lost ones, as many as it
    /// has: each is tried at once.
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

    /// Waits for the next notification. Where none comes for long, the connection is asked whether
    /// it still stands: nothing else would ever tell.
    ///
    /// # Errors
    /// When the connection is lost and cannot be made again, or is silent.
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
