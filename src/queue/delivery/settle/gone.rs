//! What goes with a record: its slots when it is deleted, all that is stored of it when it is erased.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::queue::delivery::settle::Settlement;
use crate::queue::{QueueError, audit};

/// Voids the slots of records that are gone. HubSpot drops a record's associations with it; slots
/// that are newer than the delete are made again with the record. An alias has no record there: the
/// pairs that it still has to part stand at its survivor's.
pub(super) async fn void_slots(
    db: &mut PgConnection,
    ours: &[&Settlement],
) -> Result<(), QueueError> {
    let gone: Vec<i64> = ours.iter().filter(|s| s.gone).map(|s| s.record).collect();
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "DELETE FROM crm_association a USING crm_record r
         WHERE r.id = a.record_id AND r.id = ANY($1)
           AND (a.set_at, a.set_by) <= (r.tombstone_at, r.tombstone_row)
           AND (r.alias_of IS NULL OR a.made_to IS NULL)",
    )
    .bind(&gone)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE crm_association
         SET made_target_id = NULL, made_from = NULL, made_to = NULL, sure = true, refused = false
         WHERE record_id IN (SELECT id FROM crm_record WHERE id = ANY($1) AND alias_of IS NULL)",
    )
    .bind(&gone)
    .execute(db)
    .await?;
    Ok(())
}

/// Opens the rows again that are newer than the delete of their record: what they brought is gone
/// with it, and they create it anew. If they cannot, they fail as any row that cannot.
pub(super) async fn reopen_newer(
    db: &mut PgConnection,
    ours: &[&Settlement],
) -> Result<(), QueueError> {
    let gone: Vec<i64> = ours.iter().filter(|s| s.gone && !s.erase).map(|s| s.record).collect();
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE sync_queue q SET status = 'pending', written = false, processed_at = NULL
         FROM crm_record r, event e
         WHERE r.id = ANY($1) AND q.record_id = r.id AND e.no = q.event_no
           AND q.operation = 'upsert' AND q.written AND q.status <> 'failed'
           -- An alias' values stand at its survivor.
           AND q.subject_id IS NULL AND r.alias_of IS NULL
           AND (e.occurred_at, q.id) > (r.tombstone_at, r.tombstone_row)",
    )
    .bind(&gone)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes what is stored of erased records but their numbers and ids, by which later events are
/// refused, and leaves an audit line without personal data. An event is emptied as a whole: what its
/// other rows say of it goes too, and those that are still open end with `SUBJECT_ERASED`.
pub(super) async fn erase(
    db: &mut PgConnection,
    ours: &[&Settlement],
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    for record in ours.iter().filter(|s| s.erase).map(|s| s.record) {
        // Without its hash an event that comes again is a duplicate, whatever its body.
        let rows: Vec<i64> = sqlx::query_scalar(
            "WITH emptied AS (
                 UPDATE event SET data = NULL, hash = NULL, subject = ''
                 WHERE no IN (SELECT event_no FROM sync_queue
                              WHERE (record_id = $1 AND subject_id IS NULL) OR subject_id = $1)
                 RETURNING row_ids)
             SELECT UNNEST(row_ids) FROM emptied",
        )
        .bind(record)
        .fetch_all(&mut *db)
        .await?;
        sqlx::query("UPDATE attempt SET message = 'erased' WHERE row_id = ANY($1)")
            .bind(&rows)
            .execute(&mut *db)
            .await?;
        sqlx::query("DELETE FROM row_email WHERE row_id = ANY($1)")
            .bind(&rows)
            .execute(&mut *db)
            .await?;
        sqlx::query(
            "UPDATE sync_queue SET warnings = NULL,
                    error_message = CASE WHEN error_code IS NOT NULL THEN 'erased' END
             WHERE id = ANY($1)",
        )
        .bind(&rows)
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "DELETE FROM crm_association a USING crm_record r
             WHERE r.id = a.record_id AND r.id = $1 AND (r.alias_of IS NULL OR a.made_to IS NULL)",
        )
        .bind(record)
        .execute(&mut *db)
        .await?;
        let target = format!("record {record}");
        audit::record(db, now, "application", "erase", Some(&target), json!({})).await?;
    }
    Ok(())
}
