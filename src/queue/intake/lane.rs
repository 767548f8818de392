//! One transaction after another, on a connection of its own.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::queue::intake::enqueue::{Admitted, EnqueueError, Terms, enqueue};
use crate::queue::intake::request::{Answer, Request, away};
use crate::queue::model::head_start;
use crate::queue::{Queue, QueueError};

/// Tries of a transaction that met another.
const TRIES: usize = 3;
/// No transaction lasts longer.
const LONGEST: Duration = Duration::from_secs(20);

fn refused_with(error: &sqlx::Error, class: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with(class))
}

/// Whether a transaction was undone for the sake of another: a deadlock, a merge at that moment.
fn collided(error: &sqlx::Error) -> bool {
    refused_with(error, "40")
}

/// Whether somebody else has held a lock for too long.
fn locked_out(error: &sqlx::Error) -> bool {
    refused_with(error, "55P03")
}

/// The same of what storing answers.
pub(super) fn met_a_lock(error: &EnqueueError) -> bool {
    matches!(error, EnqueueError::Queue(QueueError::Unavailable(error)) if locked_out(error))
}

/// One of those who store.
pub(super) struct Lane<'a> {
    pub(super) queue: &'a Queue,
    pub(super) db: Option<PoolConnection<Postgres>>,
}

impl Lane<'_> {
    /// Stores the requests of `group` together and answers them. Where that fails they stay.
    pub(super) async fn store_all(
        &mut self,
        group: &mut Vec<Request>,
        patience: Duration,
    ) -> Result<(), EnqueueError> {
        let events: Vec<&Admitted> = group.iter().flat_map(|r| &r.events).collect();
        let mut receipts = self.together(&events, patience).await?.into_iter();
        for Request { events, answer } in group.drain(..) {
            // Whoever has gone away is answered by the next try: it is a duplicate then.
            let _ = answer.send(Ok(receipts.by_ref().take(events.len()).collect()));
        }
        Ok(())
    }

    /// One transaction, which waits for a lock no longer than `patience`; tried again on a new
    /// connection where the old one was lost (what it has committed is known then, and answered as
    /// such), and where it met another.
    pub(super) async fn together(&mut self, events: &[&Admitted], patience: Duration) -> Answer {
        for _ in 1..TRIES {
            let held = self.db.is_some();
            match self.once(events, patience).await {
                Err(EnqueueError::Queue(QueueError::Unavailable(error)))
                    if collided(&error) || (held && !locked_out(&error)) => {}
                answer => return answer,
            }
        }
        self.once(events, patience).await
    }

    /// A connection whose other end has gone without a word is given up in time.
    async fn once(&mut self, events: &[&Admitted], patience: Duration) -> Answer {
        let stored = tokio::time::timeout(LONGEST, self.enqueue(events, patience)).await;
        stored.unwrap_or_else(|_| Err(away(std::io::Error::from(ErrorKind::TimedOut).into())))
    }

    async fn enqueue(&mut self, events: &[&Admitted], patience: Duration) -> Answer {
        let now = self.queue.about_now().await?;
        let mut db = match self.db.take() {
            Some(db) => db,
            None => self.queue.pool.acquire().await.map_err(QueueError::from)?,
        };
        // Never back into the pool: whoever took it there would wait for it in turn.
        db.close_on_drop();
        let terms = Terms { ahead: self.queue.ahead(), patience };
        let answer = enqueue(&mut db, events, now, terms).await;
        let sound =
            |error: &EnqueueError| !matches!(error, EnqueueError::Queue(_)) || met_a_lock(error);
        if answer.as_ref().err().is_none_or(sound) {
            self.db = Some(db);
        }
        let places = events.iter().flat_map(|event| event.places());
        self.queue.lines.came(places.map(|(kind, priority)| (kind, now - head_start(priority))));
        answer
    }
}
