//! The janitor's duties, one function each: reclaiming expired leases, waking records that wait for
//! a link, finding stranded rows, removing gates that ended, adding up totals, deleting old data.
//!
//! The background tasks call them, each on its own clock. [`tick`] calls those of every second in
//! turn, for callers that step the queue by hand.

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::watchdog::heard;
use crate::queue::{Queue, QueueError};

/// The result of one round.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Whether the round made anything due.
    pub moved: bool,
    /// The number of records with open rows that were neither due nor leased. More than 0 is a bug.
    pub stranded: usize,
}

/// Runs the duties of every second once.
///
/// # Errors
/// When the database fails.
pub async fn tick(queue: &Queue) -> Result<Round, QueueError> {
    let now = queue.now().await?;
    heard();
    let reaped = reap(queue, now).await?;
    heard();
    let woken = queue.wake_linked(now).await?;
    heard();
    let stranded = unstrand(queue, now).await?;
    heard();
    queue.sweep_gates(now).await?;
    heard();
    queue.empty_erased_events().await?;
    heard();
    queue.fold_totals(now).await?;
    Ok(Round { moved: reaped + woken + stranded > 0, stranded })
}

/// Frees the records whose lease has expired. Returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn reap(queue: &Queue, now: DateTime<Utc>) -> Result<usize, QueueError> {
    let reaped = queue.reap(now).await?;
    if reaped > 0 {
        metrics::counter!("hubferry_leases_expired_total").increment(reaped as u64);
        tracing::warn!(records = reaped, "leases expired; their records are sent again in full");
    }
    Ok(reaped)
}

/// Makes the records of stranded rows due. Returns how many there were.
///
/// # Errors
/// When the database fails.
pub async fn unstrand(queue: &Queue, now: DateTime<Utc>) -> Result<usize, QueueError> {
    let stranded = queue.unstrand(now).await?;
    metrics::counter!("hubferry_stranded_total").increment(stranded as u64);
    if stranded > 0 {
        tracing::error!(
            records = stranded,
            "open rows whose records were neither due nor leased: they are due now; please report this"
        );
    }
    Ok(stranded)
}

/// Deletes call-log lines older than `keep`.
///
/// # Errors
/// When the database fails.
pub async fn prune(queue: &Queue, keep: TimeDelta) -> Result<u64, QueueError> {
    let now = queue.now().await?;
    queue.prune_calls(now - keep).await
}

/// Deletes audit lines older than `keep`.
///
/// # Errors
/// When the database fails.
pub async fn prune_audit(queue: &Queue, keep: TimeDelta) -> Result<u64, QueueError> {
    let now = queue.now().await?;
    queue.prune_audit(now - keep).await
}

/// Deletes rows that were done more than `keep` ago, one step at a time. `behind` is the row where
/// the last step ended. Returns where the next step begins.
///
/// # Errors
/// When the database fails.
pub async fn forget(queue: &Queue, keep: TimeDelta, behind: i64) -> Result<i64, QueueError> {
    let now = queue.now().await?;
    let forgotten = queue.forget(now - keep, behind).await?;
    if forgotten.rows > 0 {
        metrics::counter!("hubferry_rows_forgotten_total").increment(forgotten.rows);
    }
    Ok(forgotten.behind)
}
