//! Finds the locked records that keep events from being stored.

use std::collections::{BTreeSet, HashSet};

use crate::queue::intake::enqueue::RecordKey;
use crate::queue::{Queue, QueueError};

/// Returns those of `keys` whose record, or its survivor, another transaction has locked. It does
/// not wait for record locks.
pub(in crate::queue) async fn locked_records(
    queue: &Queue,
    keys: &BTreeSet<RecordKey>,
) -> Result<HashSet<RecordKey>, QueueError> {
    let (kinds, externals): (Vec<&str>, Vec<&str>) =
        keys.iter().map(|(kind, external_id)| (kind.as_str(), external_id.as_str())).unzip();
    let mut tx = queue.begin().await?;
    // Another transaction may have locked the table.
    sqlx::query("SET LOCAL lock_timeout = '40ms'").execute(&mut *tx).await?;
    let locked: Vec<RecordKey> = sqlx::query_as(
        "WITH asked AS MATERIALIZED (
             SELECT k.kind, k.external_id, r.id, r.alias_of
             FROM UNNEST($2::text[], $3::text[]) AS k (kind, external_id)
             CROSS JOIN LATERAL (
                 SELECT id, alias_of FROM crm_record
                 WHERE portal = $1 AND sync_type = k.kind AND external_id = k.external_id
                 LIMIT 1) AS r
         ), free AS MATERIALIZED (
             SELECT id FROM crm_record
             WHERE id = ANY(ARRAY(SELECT id FROM asked UNION SELECT alias_of FROM asked))
             FOR NO KEY UPDATE SKIP LOCKED)
         SELECT kind, external_id FROM asked
         WHERE id NOT IN (SELECT id FROM free)
            OR (alias_of IS NOT NULL AND alias_of NOT IN (SELECT id FROM free))",
    )
    .bind(queue.portal())
    .bind(kinds)
    .bind(externals)
    .fetch_all(&mut *tx)
    .await?;
    // Nothing was changed. The rollback releases the locks that this check took.
    tx.rollback().await?;
    Ok(locked.into_iter().collect())
}
