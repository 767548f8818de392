//! A lane stores groups of requests, one transaction after another, on its own connection.

use std::io::ErrorKind;
use std::time::Duration;

use sqlx::Postgres;
use sqlx::pool::PoolConnection;

use crate::queue::intake::enqueue::{Admitted, EnqueueError, Terms, enqueue};
use crate::queue::intake::request::{Answer, Request, away};
use crate::queue::model::head_start;
use crate::queue::{Queue, QueueError};

/// The number of attempts of a transaction that collided with another one.
const TRIES: usize = 3;
/// The longest time that a transaction may take.
const LONGEST: Duration = Duration::from_secs(20);

fn refused_with(error: &sqlx::Error, class: &str) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with(class))
}

/// Whether Postgres undid a transaction because of another one: a deadlock, or a concurrent merge.
fn collided(error: &sqlx::Error) -> bool {
    refused_with(error, "40")
}

/// Whether another transaction held a lock for too long.
fn locked_out(error: &sqlx::Error) -> bool {
    refused_with(error, "55P03")
}

/// Whether storing failed because of a lock.
pub(super) fn met_a_lock(error: &EnqueueError) -> bool {
    matches!(error, EnqueueError::Queue(QueueError::Unavailable(error)) if locked_out(error))
}

/// A lane, which stores requests with one connection.
pub(super) struct Lane<'a> {
    pub(super) queue: &'a Queue,
    pub(super) db: Option<PoolConnection<Postgres>>,
}

impl Lane<'_> {
    /// Stores the requests of `group` together and answers them. If that fails, they stay in
    /// `group`.
    pub(super) async fn store_all(
        &mut self,
        group: &mut Vec<Request>,
        patience: Duration,
    ) -> Result<(), EnqueueError> {
        let events: Vec<&Admitted> = group.iter().flat_map(|r| &r.events).collect();
        let mut receipts = self.together(&events, patience).await?.into_iter();
        for Request { events, answer } in group.drain(..) {
            // A client that has disconnected gets its answer when it retries: the event is a
            // duplicate then.
            let _ = answer.send(Ok(receipts.by_ref().take(events.len()).collect()));
        }
        Ok(())
    }

    /// Runs one transaction, which waits at most `patience` for a lock. If the connection is lost,
    /// the transaction is tried again on a new one; events that were already committed are answered
    /// as known. It is also tried again after a collision with another transaction.
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

    /// Runs one attempt, with a timeout, because the other end of a connection may disappear
    /// without notice.
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
        // The connection must not return to the pool, or its next user would have to wait for it
        // too.
        db.close_on_drop();
        let terms = Terms { ahead: self.queue.ahead(), patience };
        let answer = enqueue(&mut db, self.queue.portal(), events, now, terms).await;
        let sound =
            |error: &EnqueueError| !matches!(error, EnqueueError::Queue(_)) || met_a_lock(error);
        if answer.as_ref().err().is_none_or(sound) {
            self.db = Some(db);
        }
        let places = events.iter().flat_map(|event| event.places());
        self.queue.cursors.came(places.map(|(kind, priority)| (kind, now - head_start(priority))));
        answer
    }
}
