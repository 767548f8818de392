//! Finds stranded rows: open rows whose record no worker will ever lease.
//!
//! Code that changes what a record owes refreshes it in the same transaction (`refresh.rs`). So the
//! record of an open row is always due or leased; a record that waits is due at its deadline.
//! Otherwise the row would wait forever, and no count would show it. This module finds such rows
//! anyway, makes their records due and returns how many there were. More than none is a bug.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use crate::queue::delivery::refresh::{lock, refresh};
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// One search reads at most this many index entries of each kind of open row.
const LOOK: i64 = 500;

impl Queue {
    /// Checks the next open rows, and makes those of their records due that are neither due nor
    /// leased. Returns the number of such records. Each call continues after the previous one, so
    /// that all rows are checked in turn: a million in half an hour with one call a second.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unstrand(&self, now: DateTime<Utc>) -> Result<usize, QueueError> {
        let mut tx = self.begin().await?;
        let behind = self.unstranded.load(Ordering::SeqCst);
        let (next, stranded): (i64, Vec<i64>) = sqlx::query_as(
            // One statement sees one state of all tables, so rows and records are consistent.
            "WITH unwritten AS MATERIALIZED (
                 SELECT record_id FROM sync_queue
                 WHERE status IN ('pending', 'retry') AND NOT written AND record_id > $1
                 ORDER BY record_id LIMIT $2
             ), written AS MATERIALIZED (
                 SELECT record_id FROM sync_queue
                 WHERE status IN ('pending', 'retry') AND written AND record_id > $1
                 ORDER BY record_id LIMIT $2
             ), ends (id) AS (
                 SELECT max(record_id) FROM unwritten HAVING count(*) = $2
                 UNION ALL SELECT max(record_id) FROM written HAVING count(*) = $2
             ), seen (id) AS (
                 SELECT record_id FROM unwritten UNION SELECT record_id FROM written
             )
             SELECT COALESCE((SELECT min(id) FROM ends), 0), ARRAY(
                 SELECT s.id FROM seen s CROSS JOIN LATERAL (
                     SELECT due_at, lease_token FROM crm_record WHERE id = s.id LIMIT 1) AS r
                 WHERE r.due_at IS NULL AND r.lease_token IS NULL)",
        )
        .bind(behind)
        .bind(LOOK)
        .fetch_one(&mut *tx)
        .await?;
        self.unstranded.store(next, Ordering::SeqCst);
        if stranded.is_empty() {
            return Ok(0);
        }
        lock(&mut tx, &stranded).await?;
        // Another transaction may have done it meanwhile.
        let still: Vec<i64> = sqlx::query_scalar(
            "SELECT r.id FROM UNNEST($1::bigint[]) AS s (id)
             CROSS JOIN LATERAL (
                 SELECT id, due_at, lease_token FROM crm_record WHERE id = s.id LIMIT 1) AS r
             WHERE r.due_at IS NULL AND r.lease_token IS NULL
               AND (SELECT true FROM sync_queue q WHERE q.record_id = r.id
                    AND q.status IN ('pending', 'retry') LIMIT 1)",
        )
        .bind(&stranded)
        .fetch_all(&mut *tx)
        .await?;
        refresh(&mut tx, &still, now).await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(still.len())
    }
}
