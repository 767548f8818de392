//! Removes what belongs to a record: its slots when it is deleted, all its stored data when it is
//! erased.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::queue::delivery::settlement::{End, Settlement};
use crate::queue::upkeep::erasure::{clear, empty};
use crate::queue::{QueueError, audit};

/// Voids the slots of records that were deleted. HubSpot removes a record's associations with the
/// record. Slots that are newer than the delete are created again with the record. An alias has no
/// HubSpot record of its own: the pairs that it must still remove belong to its survivor's HubSpot
/// record.
pub(super) async fn void_slots(
    db: &mut PgConnection,
    ours: &[&Settlement],
) -> Result<(), QueueError> {
    let gone: Vec<i64> = ours.iter().filter(|s| s.is_gone()).map(|s| s.record).collect();
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

/// Reopens the rows that are newer than the delete of their record. Their values were deleted with
/// the record, so they create it again. If they cannot, they fail like any other row.
pub(super) async fn reopen_newer(
    db: &mut PgConnection,
    ours: &[&Settlement],
) -> Result<(), QueueError> {
    let gone: Vec<i64> =
        ours.iter().filter(|s| s.is_gone() && s.end != End::Erased).map(|s| s.record).collect();
    if gone.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE sync_queue q SET status = 'pending', written = false, processed_at = NULL
         FROM crm_record r, event e
         WHERE r.id = ANY($1) AND q.record_id = r.id AND e.no = q.event_no
           AND q.operation = 'upsert' AND q.written AND q.status <> 'failed'
           -- The values of an alias are stored with its survivor.
           AND q.subject_id IS NULL AND r.alias_of IS NULL
           AND (e.occurred_at, q.id) > (r.tombstone_at, r.tombstone_row)",
    )
    .bind(&gone)
    .execute(db)
    .await?;
    Ok(())
}

/// Removes the stored data of erased records, and writes an audit line without personal data. Only
/// the numbers and ids of the records stay, so that later events can be refused. An event that
/// another record still has to send is emptied once that has been done.
pub(super) async fn erase(
    db: &mut PgConnection,
    portal: &str,
    ours: &[&Settlement],
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    for record in ours.iter().filter(|s| s.end == End::Erased).map(|s| s.record) {
        let rows: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM sync_queue
             WHERE (record_id = $1 AND subject_id IS NULL) OR subject_id = $1",
        )
        .bind(record)
        .fetch_all(&mut *db)
        .await?;
        let events: Vec<(i64, Vec<i64>, bool)> =
            sqlx::query_as(SHARED_EVENTS).bind(record).bind(&rows).fetch_all(&mut *db).await?;
        let (later, now_empty): (Vec<_>, Vec<_>) = events.into_iter().partition(|event| event.2);
        let later: Vec<i64> = later.into_iter().map(|(no, ..)| no).collect();
        sqlx::query(
            "INSERT INTO event_erasure (event_no) SELECT UNNEST($1::bigint[])
             ON CONFLICT (event_no) DO NOTHING",
        )
        .bind(&later)
        .execute(&mut *db)
        .await?;
        empty(db, &now_empty.iter().map(|(no, ..)| *no).collect::<Vec<_>>()).await?;
        let of_events = now_empty.into_iter().flat_map(|(_, rows, _)| rows);
        clear(db, &rows.into_iter().chain(of_events).collect::<Vec<_>>()).await?;
        sqlx::query(
            "DELETE FROM crm_association a USING crm_record r
             WHERE r.id = a.record_id AND r.id = $1 AND (r.alias_of IS NULL OR a.made_to IS NULL)",
        )
        .bind(record)
        .execute(&mut *db)
        .await?;
        let target = format!("record {record}");
        audit::record(db, portal, now, "application", "erase", Some(&target), json!({})).await?;
    }
    Ok(())
}

/// The events of the rows `$2`, the ids of all of their rows, and whether a record other than `$1`,
/// which is not erased, still has to send one of them.
const SHARED_EVENTS: &str = "SELECT e.no, e.row_ids, EXISTS (
         SELECT 1 FROM sync_queue o JOIN crm_record r ON r.id = o.record_id
         WHERE o.id = ANY(e.row_ids) AND o.status IN ('pending', 'retry') AND NOT o.written
           AND NOT (o.record_id = $1 AND o.subject_id IS NULL) AND o.subject_id IS DISTINCT FROM $1
           AND (r.erased_at IS NULL OR o.subject_id IS NOT NULL))
     FROM event e
     WHERE e.no IN (SELECT event_no FROM sync_queue WHERE id = ANY($2))";
