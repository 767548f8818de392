//! Housekeeping: expired leases, ended gates, waiting links, stranded rows, and what is too old to be
//! kept.

use chrono::TimeDelta;

use super::watch::heard;
use crate::queue::{Queue, QueueError};

/// What a round came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Round {
    /// Whether something became due by it.
    pub moved: bool,
    /// Records with open rows that were neither due nor leased: always 0, unless there is a bug.
    pub stranded: usize,
}

/// Does one round.
///
/// # Errors
/// When the database fails.
pub async fn tick(queue: &Queue) -> Result<Round, QueueError> {
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
    let stranded = queue.unstrand(now).await?;
    heard();
    metrics::counter!("hubferry_stranded_total").increment(stranded as u64);
    if stranded > 0 {
        tracing::error!(
            records = stranded,
            "open rows whose records were neither due nor leased: they are due now; please report this"
        );
    }
    queue.sweep_gates(now).await?;
    heard();
    queue.fold_totals(now).await?;
    Ok(Round { moved: reaped + woken + stranded > 0, stranded })
}

/// Forgets call-log lines older than `keep`.
///
/// # Errors
/// When the database fails.
pub async fn prune(queue: &Queue, keep: TimeDelta) -> Result<u64, QueueError> {
    let now = queue.now().await?;
    queue.prune_calls(now - keep).await
}

/// Forgets audit lines older than `keep`.
///
/// # Errors
/// When the database fails.
pub async fn prune_audit(queue: &Queue, keep: TimeDelta) -> Result<u64, QueueError> {
    let now = queue.now().await?;
    queue.prune_audit(now - keep).await
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
