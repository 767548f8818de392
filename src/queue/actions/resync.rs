//! Sends a whole record again.

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::queue::audit;
use crate::queue::delivery::refresh::{lock, refresh};
use crate::queue::doubt::begin;
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// The result of an action on one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneRecord {
    /// The action was done.
    Done,
    /// There is no such record.
    Unknown,
    /// Nothing of the record can be sent: it was erased, deleted, or merged into another one.
    Nothing,
}

impl Queue {
    /// Makes a whole record due: the next call sends all owned properties, whatever HubSpot has
    /// accepted, and its associations are created again.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resync(
        &self,
        sync_type: &str,
        external_id: &str,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<OneRecord, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let found: Option<i64> = sqlx::query_scalar(
            "SELECT id FROM crm_record WHERE portal = $1 AND sync_type = $2 AND external_id = $3",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(external_id)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(record) = found else { return Ok(OneRecord::Unknown) };
        lock(&mut tx, &[record]).await?;
        // Uses a new doubt, so that a worker that holds the record now cannot clear it by settling.
        let marked = sqlx::query(
            "UPDATE crm_record
             SET doubt = t.token, backoff_until = NULL, failures = 0,
                 resync_doubt = CASE WHEN doubt IN (0, resync_doubt) THEN t.token END
             FROM (SELECT nextval('lease_token') AS token) AS t
             WHERE id = $1 AND erased_at IS NULL AND alias_of IS NULL
               AND (hubspot_id IS NOT NULL OR (accepted <> '{}' AND tombstone_at IS NULL))",
        )
        .bind(record)
        .execute(&mut *tx)
        .await?
        .rows_affected();
        if marked == 0 {
            return Ok(OneRecord::Nothing);
        }
        // Creating a pair that exists already changes nothing.
        sqlx::query(
            "UPDATE crm_association
             SET refused = false, sure = sure AND made_target_id IS DISTINCT FROM target_id
             WHERE record_id = $1 AND target_id IS NOT NULL",
        )
        .bind(record)
        .execute(&mut *tx)
        .await?;
        refresh(&mut tx, &[record], now).await?;
        let target = audit::record_target(sync_type, record);
        audit::record(&mut tx, self.portal(), now, actor, "resync", Some(&target), json!({}))
            .await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(OneRecord::Done)
    }
}
