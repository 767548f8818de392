//! A person's decision that an erasure takes along what HubSpot had before us.

use chrono::{DateTime, Utc};
use serde_json::json;

use super::audit;
use super::model::ADOPTED_RECORD;
use super::notify::notify;
use super::retry::{OneRow, reopen};
use super::{Queue, QueueError};

impl Queue {
    /// Confirms the erasure of an adopted record, which goes out at once. [`OneRow::NotFailed`]: the
    /// row does not wait for that.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn confirm_erasure(
        &self,
        row: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<OneRow, QueueError> {
        let mut tx = self.pool.begin().await?;
        let found: Option<(bool, i16)> = sqlx::query_as(
            "SELECT status = 'failed' AND discarded_at IS NULL AND operation = 'erase'
                    AND error_code = $2, priority
             FROM sync_queue WHERE id = $1",
        )
        .bind(row)
        .bind(ADOPTED_RECORD)
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
        audit::record(&mut tx, now, actor, "confirm", Some(&row.to_string()), json!({})).await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.lines.joined();
        Ok(OneRow::Done)
    }
}
