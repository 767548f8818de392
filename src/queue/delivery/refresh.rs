//! Computes when and for which call a record is due, from what it owes, while the record is locked.
//!
//! Only this code decides it. Enqueuing, settling, reaping and retrying all end here, so that none
//! of them can leave a row that is never sent.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use crate::queue::QueueError;

/// Sets due time, stage and rank of those `records` that are not leased. It uses the SQL function
/// `schedule`, which enqueuing calls too. The caller must have locked the records. Rows that are
/// written and owe no more associations become `synced`.
pub(in crate::queue) async fn refresh(
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

/// Locks `records` in the order of their ids. All code locks in this order, to avoid deadlocks.
pub(in crate::queue) async fn lock(
    db: &mut PgConnection,
    records: &[i64],
) -> Result<(), QueueError> {
    sqlx::query("SELECT id FROM crm_record WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE")
        .bind(records)
        .execute(db)
        .await?;
    Ok(())
}

/// The most attempts of [`lock_records_of`]. A row moves only once a merge, so even two are rare.
const ATTEMPTS: usize = 20;

/// Locks the records of `rows` and returns them in the same order. A merge moves rows to another
/// record while it holds the locks of both records. A caller that finds rows first and locks their
/// records afterwards must therefore check again. Otherwise it would refresh the old record, and
/// the moved rows would never be sent.
pub(in crate::queue) async fn lock_records_of(
    db: &mut PgConnection,
    rows: &[i64],
) -> Result<Vec<i64>, QueueError> {
    for _ in 0..ATTEMPTS {
        // A rollback to the savepoint releases useless locks, so that the order of locking is kept.
        let mut attempt = db.begin().await?;
        let records = records_of(&mut attempt, rows).await?;
        lock(&mut attempt, &records).await?;
        if records_of(&mut attempt, rows).await? == records {
            attempt.commit().await?;
            return Ok(records);
        }
        attempt.rollback().await?;
    }
    // The caller retries, as after any lock that it could not get.
    let reason = "other transactions kept moving the rows to other records";
    Err(QueueError::Unavailable(sqlx::Error::Io(std::io::Error::other(reason))))
}

async fn records_of(db: &mut PgConnection, rows: &[i64]) -> Result<Vec<i64>, QueueError> {
    let records = sqlx::query_scalar(
        "SELECT DISTINCT record_id FROM sync_queue WHERE id = ANY($1) ORDER BY record_id",
    );
    Ok(records.bind(rows).fetch_all(db).await?)
}
