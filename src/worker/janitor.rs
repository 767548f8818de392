//! Housekeeping: expired leases, ended gates, waiting links, and what is too old to be kept.

use chrono::TimeDelta;

use super::watch::heard;
use crate::queue::{Queue, QueueError};

/// Does one round. Answers whether something became due by it.
///
/// # Errors
/// When the database fails.
pub async fn tick(queue: &Queue) -> Result<bool, QueueError> {
    let now = queue.now().await?;
    heard();
    let reaped = queue.reap(now).await?;
    heard();
    if reaped > 0 {
        metrics::counter!("hubferry_leases_expired_total").increment(reaped as u64);
        tracing::warn!(records = reaped, "leases ran out; their records are sent whole again");
    }
    let woken = queue.wake_linked(now).await?;
    heard();
    queue.sweep_gates(now).await?;
    heard();
    queue.fold_totals(now).await?;
    Ok(reaped + woken > 0)
}

/// Forgets call-log lines older than `keep`.
///
/// # Errors
/// When the database fails.
pub async fn prune(queue: &Queue, keep: TimeDelta) -> Result<u64, QueueError> {
    let now = queue.now().await?;
    queue.prune_calls(now - keep).await
}

/// One step of forgetting rows that were done more than `keep` ago, behind the row where the last
/// step ended. Answers where the next one begins.
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
