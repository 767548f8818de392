//! Whether connections may be unfit: after an answer that only a standby or a broken transaction
//! gives, and after a transaction whose beginning was broken off. The driver does not roll such a one
//! back, so that whoever is next on the connection would be inside of it.
//!
//! Looking at each connection at each use would cost more than all else that the pool does. So it is
//! done for a while after a doubt, whichever connection it came from.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::{PgPool, Postgres, Transaction};

/// How long a doubt lasts: longer than a connection takes to come back to the pool.
const WHILE: Duration = Duration::from_secs(5);

static LAST: Mutex<Option<Instant>> = Mutex::new(None);

/// Has every connection looked at before it is used again.
pub(in crate::queue) fn doubt() {
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
}

/// Whether connections have to be looked at.
#[must_use]
pub fn doubted() -> bool {
    let last = *LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.is_some_and(|last| last.elapsed() < WHILE)
}

/// A transaction. The only way to begin one.
///
/// # Errors
/// When the database does not answer.
pub async fn begin(pool: &PgPool) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    begin_with(pool, "BEGIN").await
}

/// A transaction that begins with `statement`.
pub(in crate::queue) async fn begin_with(
    pool: &PgPool,
    statement: &'static str,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let begun = pin!(pool.begin_with(statement));
    // Dropped before what it guards.
    let guard = Unfinished;
    let tx = begun.await?;
    std::mem::forget(guard);
    Ok(tx)
}

/// Doubts where it is dropped.
struct Unfinished;

impl Drop for Unfinished {
    fn drop(&mut self) {
        doubt();
    }
}
