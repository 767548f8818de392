//! Tracks whether connections may be unusable. This is the case after an answer that only a standby
//! or a broken transaction gives, and after the start of a transaction was interrupted. The driver
//! does not roll back such a transaction, so the next user of the connection would run inside it.
//!
//! Checking each connection at each use would cost more than everything else the pool does. So all
//! connections are checked, but only for a short time after such an event.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{PgPool, Postgres, Transaction};

/// How long connections are checked: longer than a connection takes to return to the pool.
const WHILE: Duration = Duration::from_secs(5);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Makes the pool check every connection before it is used again.
pub(in crate::queue) fn doubt() {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether connections must be checked now.
#[must_use]
pub fn doubted() -> bool {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < WHILE)
}

/// Begins a transaction. All code must begin transactions with this function, so that an
/// interrupted start is noticed.
///
/// # Errors
/// When the database does not answer.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN").await
}

/// Begins a transaction with `statement`.
pub(in crate::queue) async fn begin_with(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let begun = pin!(pool.begin_with(statement));
    // Declared here, so that it is dropped before what it guards.
    let guard = Unfinished;
    let tx = begun.await?;
    std::mem::forget(guard);
    Ok(tx)
}

/// Marks connections as doubtful when it is dropped.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        doubt();
    }
}
