//! A person's decisions on one row: confirm the erasure of an adopted record, or restore a
//! discarded row.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::queue::actions::retry::{OneRow, reopen};
use crate::queue::audit;
use crate::queue::delivery::refresh::lock_records_of;
use crate::queue::doubt::begin;
use crate::queue::intake::notify::notify;
use crate::queue::model::ADOPTED_RECORD;
use crate::queue::{Queue, QueueError};

/// The result of allowing an erased subject again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allow {
    /// Events of the subject are accepted again.
    Done,
    /// There is no erased subject of this kind and id.
    Unknown,
    /// The erasure has not ended yet.
    Erasing,
}

impl Queue {
    /// Restores a discarded row and retries it. Returns `false` if the row is not discarded, or if
    /// its subject has been erased since (or, for an erasure, allowed again).
    pub(in crate::queue) async fn put_back(
        &self,
        row: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let mut tx = begin(&self.pool).await?;
        lock_records_of(&mut tx, &[row]).await?;
        let back: Option<i16> = sqlx::query_scalar(
            "UPDATE sync_queue q SET discarded_at = NULL FROM crm_record r
             WHERE q.id = $1 AND q.portal = $2 AND r.id = q.record_id AND q.status = 'failed'
               AND q.discarded_at IS NOT NULL
               AND (r.erased_at IS NOT NULL) = (q.operation = 'erase')
             RETURNING q.priority",
        )
        .bind(row)
        .bind(self.portal())
        .fetch_optional(&mut *tx)
        .await?;
        let Some(priority) = back else { return Ok(false) };
        reopen(&mut tx, &[(row, priority)], now).await?;
        let details = json!({ "rows": 1, "put_back": true });
        audit::record(&mut tx, self.portal(), now, actor, "retry", Some(&row.to_string()), details)
            .await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(true)
    }

    /// Confirms the erasure of an adopted record, which is then sent at once. Returns
    /// [`OneRow::NotFailed`] if the row does not wait for a confirmation.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_erasure(
        &self,
        row: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<OneRow, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let found: Option<(bool, i16)> = sqlx::query_as(
            "SELECT status = 'failed' AND discarded_at IS NULL AND operation = 'erase'
                    AND error_code = $2, priority
             FROM sync_queue WHERE id = $1 AND portal = $3",
        )
        .bind(row)
        .bind(ADOPTED_RECORD)
        .bind(self.portal())
        .fetch_optional(&mut *tx)
        .await?;
        let Some((waits, priority)) = found else { return Ok(OneRow::Unknown) };
        if !waits || reopen(&mut tx, &[(row, priority)], now).await? == 0 {
            return Ok(OneRow::NotFailed);
        }
        // The row's record is locked by now.
        sqlx::query(
            "UPDATE crm_record SET erase_confirmed = true
             WHERE id = (SELECT record_id FROM sync_queue WHERE id = $1)",
        )
        .bind(row)
        .execute(&mut *tx)
        .await?;
        audit::record(
            &mut tx,
            self.portal(),
            now,
            actor,
            "confirm",
            Some(&row.to_string()),
            json!({}),
        )
        .await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(OneRow::Done)
    }

    /// Allows an erased subject again, once its erasure has ended. Before that, the settle of the
    /// erasure would also remove later events.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn allow(
        &self,
        sync_type: &str,
        external_id: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Allow, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let record: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM crm_record WHERE portal = $1 AND sync_type = $2 AND external_id = $3
             FOR NO KEY UPDATE",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(external_id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(record) = record else { return Ok(Allow::Unknown) };
        // Checked under the lock. A failed erasure can be retried, and a lease may be about to
        // erase.
        let erasing: Option<bool> = sqlx::query_scalar(
            "SELECT lease_token IS NOT NULL OR stage IS NOT DISTINCT FROM 'erase' OR EXISTS (
                 SELECT 1 FROM sync_queue q
                 WHERE q.record_id = r.id AND q.operation = 'erase' AND q.status <> 'synced'
                   AND q.discarded_at IS NULL)
             FROM crm_record r WHERE id = $1 AND erased_at IS NOT NULL",
        )
        .bind(record)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(erasing) = erasing else { return Ok(Allow::Unknown) };
        if erasing {
            return Ok(Allow::Erasing);
        }
        sqlx::query("UPDATE crm_record SET erased_at = NULL WHERE id = $1")
            .bind(record)
            .execute(&mut *tx)
            .await?;
        let target = audit::record_target(sync_type, record);
        audit::record(&mut tx, self.portal(), now, actor, "allow", Some(&target), json!({}))
            .await?;
        tx.commit().await?;
        Ok(Allow::Done)
    }
}
