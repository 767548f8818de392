//! When and for which call a record is due, computed from what it owes, under its lock.
//!
//! The one place that decides it: enqueuing, settling, reaping and retrying all end here, so that
//! none of them can strand a row.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::QueueError;

/// Sets due time, stage and rank of those of `records` that nobody holds, with the function `schedule`
/// of the schema, which enqueuing calls too. The caller has locked them. Rows that are written and owe
/// no association any more end `synced`.
pub(super) async fn refresh(
    db: &mut PgConnection,
    records: &[i64],
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query("SELECT schedule($1, $2)").bind(records).bind(now).execute(&mut *db).await?;
    sqlx::query(
        "UPDATE sync_queue q SET status = 'synced', processed_at = $2, error_code = NULL,
             error_property = NULL, error_message = NULL, error_hint = NULL,
             error_correlation_id = NULL, error_http_status = NULL
         WHERE q.record_id = ANY($1) AND q.status IN ('pending', 'retry') AND q.written
           AND (SELECT true FROM association_owed a WHERE a.record_id = q.record_id LIMIT 1) IS NULL",
    )
    .bind(records)
    .bind(now)
    .execute(&mut *db)
    .await?;
    Ok(())
}

/// Locks `records` in the order of their ids: the order in which everybody locks.
pub(super) async fn lock(db: &mut PgConnection, records: &[i64]) -> Result<(), QueueError> {
    sqlx::query("SELECT id FROM crm_record WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(records)
        .execute(db)
        .await?;
    Ok(())
}
