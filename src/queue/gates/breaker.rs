//! Stores the circuit breaker's state, which all replicas share: the results of recent calls, and
//! the gate that an outage closes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::delivery::refresh::{lock_records_of, refresh};
use crate::queue::doubt::begin;
use crate::queue::gates::kind::{GateKind, Opens};
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// How many calls failed and how many were answered in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Tally {
    /// Calls that failed because of HubSpot, or that had no reply.
    pub failures: i64,
    /// All other calls, which HubSpot answered.
    pub answers: i64,
}

impl Queue {
    /// Counts the calls that ended after `since`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tally(&self, since: DateTime<Utc>) -> Result<Tally, QueueError> {
        Ok(sqlx::query_as(
            "SELECT count(*) FILTER (WHERE class = 'unavailable') AS failures,
                    count(*) FILTER (WHERE class <> 'unavailable') AS answers
             FROM hubspot_call WHERE portal = $1 AND replied_at > $2 AND free_at > $2",
        )
        .bind(self.portal())
        .bind(since)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Closes the gate for an outage until `until`. The failures since `since` are no longer
    /// counted against their rows, because the rows did not cause them. Calls that were in flight
    /// at that time do the same when they end. Returns whether the gate was open before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn trip(
        &self,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let closed = sqlx::query(
            "INSERT INTO gate (portal, kind, code, reason, hint, closed_at, until)
             VALUES ($1, $4, 'OUTAGE', 'HubSpot fails or does not answer',
                     'nothing to do: one record at a time is sent to see when it is back', $2, $3)
             ON CONFLICT (portal, sync_type, kind) DO NOTHING",
        )
        .bind(self.portal())
        .bind(now)
        .bind(until)
        .bind(GateKind::Breaker.as_str())
        .execute(&mut *tx)
        .await?
        .rows_affected();
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT a.row_id FROM attempt a JOIN hubspot_call c ON c.id = a.call_id
             WHERE c.portal = $1 AND c.class = 'unavailable' AND c.replied_at > $2 AND a.counted",
        )
        .bind(self.portal())
        .bind(since)
        .fetch_all(&mut *tx)
        .await?;
        let records = lock_records_of(&mut tx, &rows).await?;
        sqlx::query(
            "WITH back AS (
                 UPDATE attempt a SET counted = false FROM hubspot_call c
                 WHERE c.id = a.call_id AND c.class = 'unavailable' AND c.replied_at > $2
                   AND a.row_id = ANY($1) AND a.counted
                 RETURNING a.row_id
             ), counts AS (SELECT row_id, count(*)::int AS n FROM back GROUP BY 1)
             UPDATE sync_queue q
             SET status = CASE WHEN q.status = 'failed' AND q.discarded_at IS NULL THEN 'pending' ELSE q.status END,
                 processed_at = CASE WHEN q.status = 'failed' AND q.discarded_at IS NULL THEN NULL ELSE q.processed_at END,
                 retry_count = GREATEST(q.retry_count - n, 0)
             FROM counts WHERE q.id = counts.row_id AND q.status IN ('retry', 'failed')",
        )
        .bind(&rows)
        .bind(since)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE crm_record SET failures = GREATEST(failures - 1, 0), backoff_until = NULL
             WHERE id = ANY($1) AND lease_token IS NULL",
        )
        .bind(&records)
        .execute(&mut *tx)
        .await?;
        refresh(&mut tx, &records, now).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(closed > 0)
    }

    /// Stores the result of a probe. After a success, the next probe may be sent at once, and the
    /// gate opens after `enough` successes in a row. After a failure, the gate waits for `rest`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn probed(
        &self,
        through: bool,
        enough: i32,
        rest: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query(
            "UPDATE gate SET probes = CASE WHEN $2 THEN probes + 1 ELSE 0 END,
                             until = CASE WHEN $2 THEN $3 ELSE $4 END
             WHERE portal = $1 AND kind = $5",
        )
        .bind(self.portal())
        .bind(through)
        .bind(now)
        .bind(now + rest)
        .bind(GateKind::Breaker.as_str())
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM gate WHERE portal = $1 AND kind = $3 AND probes >= $2")
            .bind(self.portal())
            .bind(enough)
            .bind(GateKind::Breaker.as_str())
            .execute(&mut *tx)
            .await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Gives back the right to probe: no call was needed, so the probe showed nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unclaim_probe(
        &self,
        sync_type: &str,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        sqlx::query(
            "UPDATE gate SET until = $3
             WHERE portal = $1 AND sync_type IN ('', $2) AND kind = ANY($4)",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(now)
        .bind(GateKind::names(&[Opens::ByCall, Opens::ByCalls]))
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
