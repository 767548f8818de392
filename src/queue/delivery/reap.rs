//! Reclaims what expired: leases of workers that stopped, gates whose time is over, old call-log
//! lines.

use chrono::{DateTime, Utc};

use crate::queue::delivery::refresh::refresh;
use crate::queue::gates::kind::{GateKind, Opens};
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

impl Queue {
    /// Frees the records whose lease has expired, at most a thousand. Their worker may have sent a
    /// call, so the records are in doubt. A record without a link is upserted in any case.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reap(&self, now: DateTime<Utc>) -> Result<usize, QueueError> {
        let mut tx = self.begin().await?;
        let expired: Vec<i64> = sqlx::query_scalar(
            // In the order of the index of leases. This query skips locked records, so an order
            // other than by id cannot deadlock.
            "SELECT id FROM crm_record WHERE lease_token IS NOT NULL AND lease_until <= $1
             ORDER BY lease_until LIMIT 1000 FOR NO KEY UPDATE SKIP LOCKED",
        )
        .bind(now)
        .fetch_all(&mut *tx)
        .await?;
        if expired.is_empty() {
            return Ok(0);
        }
        sqlx::query(
            "UPDATE crm_record
             SET doubt = lease_token, lease_token = NULL, lease_until = NULL, lease_holder = NULL,
                 leased_at = NULL
             WHERE id = ANY($1)",
        )
        .bind(&expired)
        .execute(&mut *tx)
        .await?;
        refresh(&mut tx, &expired, now).await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(expired.len())
    }

    /// Removes gates that ended by themselves.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep_gates(&self, now: DateTime<Utc>) -> Result<(), QueueError> {
        sqlx::query("DELETE FROM gate WHERE until <= $1 AND kind = ANY($2)")
            .bind(now)
            .bind(GateKind::names(&[Opens::InTime]))
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Deletes call-log lines older than `before`, at most ten thousand at a time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prune_calls(&self, before: DateTime<Utc>) -> Result<u64, QueueError> {
        Ok(sqlx::query(
            "DELETE FROM hubspot_call WHERE id IN (
                 SELECT id FROM hubspot_call WHERE portal IN (SELECT portal FROM crm_portal) AND free_at < $1 LIMIT 10000)",
        )
        .bind(before)
        .execute(&self.pool)
        .await?
        .rows_affected())
    }
}
