//! A watchdog that limits how long work waits for a silent database.
//!
//! If the other end of a connection disappears without notice, the connection stays silent forever,
//! and the driver waits just as long. Work that is given up here ends like a crash: its leases
//! expire, and uncommitted changes are lost.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

tokio::task_local! {
    static SIGNS: Arc<Signs>;
}

/// When a piece of work last got an answer.
#[derive(Debug)]
struct Signs {
    last: Mutex<Instant>,
    /// How many parts of the work wait for something other than the database. They have no limit
    /// here.
    elsewhere: AtomicUsize,
}

impl Signs {
    fn hear(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn silent_for(&self) -> Duration {
        if self.elsewhere.load(Ordering::SeqCst) > 0 {
            return Duration::ZERO;
        }
        self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }
}

/// The database was silent for too long.
#[derive(Debug, thiserror::Error)]
#[error("the database did not answer for {} seconds: the connection is given up", .0.as_secs())]
pub struct Silent(Duration);

/// Runs `work`, and gives up when the database has been silent for `longest`.
///
/// # Errors
/// If the work was given up.
pub(super) async fn watched<T>(
    longest: Duration,
    work: impl Future<Output = T>,
) -> Result<T, Silent> {
    let signs =
        Arc::new(Signs { last: Mutex::new(Instant::now()), elsewhere: AtomicUsize::new(0) });
    let work = SIGNS.scope(Arc::clone(&signs), work);
    tokio::pin!(work);
    loop {
        let left = longest.saturating_sub(signs.silent_for());
        if left.is_zero() {
            return Err(Silent(longest));
        }
        tokio::select! {
            done = &mut work => return Ok(done),
            () = tokio::time::sleep(left) => {}
        }
    }
}

/// Records that the database has answered.
pub(super) fn heard() {
    let _ = SIGNS.try_with(|signs| signs.hear());
}

/// Waits for something that is not the database, so the watchdog allows any length.
pub(super) async fn elsewhere<T>(wait: impl Future<Output = T>) -> T {
    let _away = SIGNS.try_with(Arc::clone).ok().map(Away::new);
    wait.await
}

struct Away(Arc<Signs>);

impl Away {
    fn new(signs: Arc<Signs>) -> Self {
        signs.elsewhere.fetch_add(1, Ordering::SeqCst);
        Self(signs)
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        self.0.hear();
        self.0.elsewhere.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_millis(30);

    #[tokio::test]
    async fn only_silence_is_given_up() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let patient = watched(LONGEST, elsewhere(told));
        let silent = async {
            let given_up = watched(LONGEST * 3, std::future::pending::<()>()).await;
            tell.send(()).unwrap();
            given_up
        };
        let (patient, silent) = tokio::join!(patient, silent);
        assert!(patient.is_ok_and(|heard| heard.is_ok()) && silent.is_err());
    }
}
