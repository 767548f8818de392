//! A look for what must never be there: open rows whose record nobody will take.
//!
//! Whoever changes what a record owes refreshes it in the same transaction (`refresh.rs`), so an open
//! row always has a record that is due or leased; one that waits is due at its deadline. A row without
//! that would wait for ever and no count would show it. This finds such rows all the same, makes
//! their records due and says how many there were: more than none is a bug.

use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};

use crate::queue::delivery::refresh::{lock, refresh};
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// A look goes through at most so many index entries of each kind of open row.
const LOOK: i64 = 500;

impl Queue {
    /// Looks at the next open rows and makes those of their records due that are neither due nor
    /// leased. Answers how many records that were. Each call goes on behind the last one, so that
    /// all are seen in turn, however many there are: a million in half an hour at a call a second.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unstrand(&self, now: DateTime<Utc>) -> Result<usize, QueueError> {
        let mut tx = self.begin().await?;
        let behind = self.unstranded.load(Ordering::SeqCst);
        let (next, stranded): (i64, Vec<i64>) = sqlx::query_as(
            // One statement, and so one state of all tables: in each of them rows and records agree.
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
        // Somebody may have done it meanwhile.
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
        self.lines.joined();
        Ok(still.len())
    }
}
