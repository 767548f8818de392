//! When and for which call a record is due, computed from what it owes, under its lock.
//!
//! The one place that decides it: enqueuing, settling, reaping and retrying all end here, so that
//! none of them can strand a row.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use crate::queue::QueueError;

/// Sets due time, stage and rank of those of `records` that nobody holds, with the function `schedule`
/// of the schema, which enqueuing calls too. The caller has locked them. Rows that are written and owe
/// no association any more end `synced`.
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

/// Locks `records` in the order of their ids: the order in which everybody locks.
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

/// How often [`lock_records_of`] starts again. A row moves once a merge, so twice is already rare.
const ATTEMPTS: usize = 20;

/// Locks the records of `rows`, in the same order, and answers with them. A merge moves rows to another
/// record under the locks of both: whoever finds rows first and locks their records afterwards has to
/// look once more, or he would refresh the record that they were at and strand them.
pub(in crate::queue) async fn lock_records_of(
    db: &mut PgConnection,
    rows: &[i64],
) -> Result<Vec<i64>, QueueError> {
    for _ in 0..ATTEMPTS {
        // What is locked in vain is given back with the savepoint, so that the order is kept.
        let mut attempt = db.begin().await?;
        let records = records_of(&mut attempt, rows).await?;
        lock(&mut attempt, &records).await?;
        if records_of(&mut attempt, rows).await? == records {
            attempt.commit().await?;
            return Ok(records);
        }
        attempt.rollback().await?;
    }
    // The caller tries again, as after any lock that it could not get.
    let reason = "other transactions kept moving the rows to other records";
    Err(QueueError::Unavailable(sqlx::Error::Io(std::io::Error::other(reason))))
}

async fn records_of(db: &mut PgConnection, rows: &[i64]) -> Result<Vec<i64>, QueueError> {
    let records = sqlx::query_scalar(
        "SELECT DISTINCT record_id FROM sync_queue WHERE id = ANY($1) ORDER BY record_id",
    );
    Ok(records.bind(rows).fetch_all(db).await?)
}
