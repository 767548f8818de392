//! Deletes rows that were done long ago, in small steps, so that other work is not held up.

use chrono::{DateTime, Utc};

use crate::queue::{Queue, QueueError};

/// The number of rows in one step. It is small, so that no other transaction waits for long.
const STEP: i64 = 1_000;

/// The progress of deleting old rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// The number of rows that the step deleted.
    pub rows: u64,
    /// The next step continues after this row. 0 starts again.
    pub behind: i64,
}

impl Queue {
    /// Deletes rows that became `synced` or were discarded before `before` and whose record owes
    /// nothing. Their attempts are deleted too, and so is their event, once all of its rows
    /// qualify. One step considers up to 1,000 rows after the row `behind`. Failed rows stay until
    /// a person retries or discards them. Records, with the values that HubSpot has accepted, stay
    /// forever.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn forget(
        &self,
        before: DateTime<Utc>,
        behind: i64,
    ) -> Result<Forgotten, QueueError> {
        let (rows, last): (i64, Option<i64>) = sqlx::query_as(
            "WITH turn AS MATERIALIZED (
                 -- Two processes at once could each keep the event of a row that the other deletes.
                 SELECT pg_try_advisory_xact_lock(hashtextextended('hubferry forget', 0)) AS ours
             ), old AS MATERIALIZED (
                 SELECT q.id, q.event_no FROM sync_queue q
                 WHERE (SELECT ours FROM turn)
                   AND q.id > $2 AND q.id < (SELECT first_row_since($1))
                 ORDER BY q.id LIMIT $3
             ), done AS MATERIALIZED (
                 -- An event is deleted with all of its rows. If one row was deleted before the
                 -- others, an erasure could not find the payload by it.
                 SELECT e.no, array_agg(q.id) AS ids
                 FROM (SELECT DISTINCT event_no FROM old) o
                 JOIN event e ON e.no = o.event_no
                 JOIN sync_queue q ON q.id = ANY(e.row_ids)
                 GROUP BY e.no
                 HAVING bool_and(
                        (q.status = 'synced' OR q.discarded_at IS NOT NULL)
                        AND GREATEST(q.processed_at, q.discarded_at) < $1
                        -- The record may still need the row: a delete reopens rows.
                        AND NOT EXISTS (SELECT 1 FROM sync_queue o
                                        WHERE o.record_id = q.record_id
                                          AND o.status IN ('pending', 'retry'))
                        -- A slot that is not made yet reports its result on this row.
                        AND NOT EXISTS (SELECT 1 FROM crm_association a
                                        WHERE a.record_id = q.record_id AND a.set_by = q.id
                                          AND a.target_id IS NOT NULL
                                          AND (a.made_to IS NULL OR NOT a.sure)))
             ), gone AS (
                 DELETE FROM sync_queue q USING (SELECT UNNEST(ids) AS id FROM done) d
                 WHERE q.id = d.id AND (q.status = 'synced' OR q.discarded_at IS NOT NULL)
                 RETURNING q.id, q.event_no
             ), tries AS (
                 DELETE FROM attempt a USING gone WHERE a.row_id = gone.id
             ), addresses AS (
                 DELETE FROM row_email m USING gone WHERE m.row_id = gone.id
             ), events AS (
                 DELETE FROM event e USING done
                 WHERE e.no = done.no
                   AND (SELECT count(*) FROM gone WHERE gone.event_no = e.no)
                       = cardinality(done.ids)
             )
             SELECT (SELECT count(*) FROM gone), (SELECT max(id) FROM old)",
        )
        .bind(before)
        .bind(behind)
        .bind(STEP)
        .fetch_one(&self.pool)
        .await?;
        Ok(Forgotten { rows: rows.unsigned_abs(), behind: last.unwrap_or(0) })
    }

    /// Deletes audit lines from before `before`, at most ten thousand at a time. They contain the
    /// addresses that people signed in from.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_audit(&self, before: DateTime<Utc>) -> Result<u64, QueueError> {
        // Lines are written in the order of their times, except by transactions that overlap.
        Ok(sqlx::query(
            "DELETE FROM audit WHERE id IN (
                 SELECT id FROM (SELECT id, at FROM audit ORDER BY id LIMIT 10000) oldest
                 WHERE at < $1)",
        )
        .bind(before)
        .execute(&self.pool)
        .await?
        .rows_affected())
    }
}
