//! Groups failed rows by error, to show what is wrong, how often, and what to do.

use crate::queue::{Queue, QueueError};
use chrono::{DateTime, Utc};

/// The failed rows of one kind that share an error code and a property.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct ErrorGroup {
    /// The error's code.
    pub code: String,
    /// The property that caused the error.
    pub property: Option<String>,
    /// The object kind.
    pub sync_type: String,
    /// The number of rows.
    pub rows: i64,
    /// The number of records.
    pub records: i64,
    /// When the first of the rows failed.
    pub first_at: DateTime<Utc>,
    /// When the last of the rows failed.
    pub last_at: DateTime<Utc>,
    /// The message of the newest row.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// The id of the newest row.
    pub newest_id: i64,
}

impl Queue {
    /// Returns the groups of failed rows that are not discarded, largest first, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn error_groups(&self, limit: i64) -> Result<Vec<ErrorGroup>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT g.*, n.error_message AS message, n.error_hint AS hint FROM (
                 SELECT COALESCE(q.error_code, 'UNKNOWN') AS code, q.error_property AS property,
                        r.sync_type, count(*) AS rows, count(DISTINCT q.record_id) AS records,
                        min(COALESCE(q.processed_at, q.created_at)) AS first_at,
                        max(COALESCE(q.processed_at, q.created_at)) AS last_at,
                        max(q.id) AS newest_id
                 FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
                 WHERE q.status = 'failed' AND q.discarded_at IS NULL AND q.portal = $1
                 GROUP BY 1, 2, 3 ORDER BY rows DESC, newest_id DESC LIMIT $2) AS g
             JOIN sync_queue n ON n.id = g.newest_id ORDER BY g.rows DESC, g.newest_id DESC",
        )
        .bind(self.portal())
        .bind(limit)
        .fetch_all(&self.pool)
        .await?)
    }
}
