//! When and for which call a record is due, computed from what it owes, under its lock.
//!
//! The one place that decides it: enqueuing, settling, reaping and retrying all end here, so that
//! none of them can strand a row.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::QueueError;

/// Sets due time, stage and rank of those of `records` that nobody holds. The caller has locked
/// them. Rows that are written and owe no association any more end `synced`.
pub(super) async fn refresh(
    db: &mut PgConnection,
    records: &[i64],
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    sqlx::query(
        "WITH owed AS (
             SELECT r.id, r.hubspot_id, r.resolve, r.backoff_until, r.waiting_until,
                    r.doubt <> 0 AND (r.hubspot_id IS NOT NULL OR r.accepted <> '{}') AS doubtful,
                    -- A call that came late may have brought it back.
                    r.doubt <> 0 AND r.hubspot_id IS NULL AND r.accepted = '{}'
                        AND r.tombstone_at IS NOT NULL AND r.alias_of IS NULL AS haunted,
                    o.first_rank, o.archives, o.erases, o.unwritten, w.written_rank,
                    EXISTS (SELECT 1 FROM association_owed a WHERE a.record_id = r.id) AS slots
             FROM crm_record r
             CROSS JOIN LATERAL (
                 SELECT min(q.rank) AS first_rank, count(*) > 0 AS unwritten,
                        bool_or(q.operation = 'archive') AS archives,
                        bool_or(q.operation = 'erase') AS erases
                 FROM sync_queue q
                 WHERE q.record_id = r.id AND q.status IN ('pending', 'retry') AND NOT q.written) o
             CROSS JOIN LATERAL (
                 SELECT min(q.rank) AS written_rank FROM sync_queue q
                 WHERE q.record_id = r.id AND q.status IN ('pending', 'retry') AND q.written) w
             WHERE r.id = ANY($1) AND r.lease_token IS NULL
         ), next AS (
             SELECT id,
                    CASE WHEN erases THEN 'erase'
                         WHEN archives THEN 'archive'
                         WHEN (unwritten OR doubtful) AND hubspot_id IS NOT NULL THEN 'update'
                         WHEN (unwritten OR doubtful) AND resolve <> '!' THEN 'resolve'
                         WHEN unwritten OR doubtful THEN 'create'
                         WHEN haunted OR (resolve = '-' AND hubspot_id IS NOT NULL) THEN 'archive'
                         WHEN slots THEN 'associate' END AS stage,
                    COALESCE(first_rank, written_rank, $2) AS rank,
                    GREATEST(backoff_until, waiting_until) AS later
             FROM owed
         )
         UPDATE crm_record r
         SET stage = n.stage,
             rank = CASE WHEN n.stage IS NOT NULL THEN n.rank END,
             due_at = CASE WHEN n.stage IS NOT NULL THEN GREATEST(n.later, $2) END,
             deferred = n.stage IS NOT NULL AND COALESCE(n.later > $2, false)
         FROM next n WHERE n.id = r.id",
    )
    .bind(records)
    .bind(now)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE sync_queue q SET status = 'synced', processed_at = $2
         WHERE q.record_id = ANY($1) AND q.status IN ('pending', 'retry') AND q.written
           AND NOT EXISTS (SELECT 1 FROM association_owed a WHERE a.record_id = q.record_id)",
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
