//! Waking idle workers: one notification a transaction, polling where it is lost.

use sqlx::PgConnection;
use sqlx::postgres::{PgListener, PgPool};

use super::QueueError;

const CHANNEL: &str = "hubferry_due";

/// Tells every process, at commit, that something may be due.
pub(super) async fn notify(db: &mut PgConnection) -> Result<(), QueueError> {
    sqlx::query("SELECT pg_notify($1, '')").bind(CHANNEL).execute(db).await?;
    Ok(())
}

/// Hears the notifications; reconnects by itself.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Subscribes with one connection of its own.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn connect(pool: &PgPool) -> Result<Self, QueueError> {
        let mut listener = PgListener::connect_with(pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(Self(listener))
    }

    /// Waits for the next notification. A lost connection counts as one, since a notification may
    /// have been lost with it.
    ///
    /// # Errors
    /// When the connection is lost and cannot be made again.
    pub async fn heard(&mut self) -> Result<(), QueueError> {
        self.0.try_recv().await?;
        Ok(())
    }
}
