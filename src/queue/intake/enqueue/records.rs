//! Finds the records of keys, and creates the missing ones.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::queue::QueueError;

/// Returns the records of `keys` (sync type, external id), and creates the missing ones. The keys
/// are sorted, so that two transactions which create the same records wait in the same order. Call
/// this before locking any record: a transaction that creates a record must not wait for it while
/// it holds other locks.
pub(in crate::queue) async fn ensure_records<'a>(
    db: &mut PgConnection,
    portal: &str,
    keys: impl Iterator<Item = (&'a str, &'a str)>,
    now: DateTime<Utc>,
) -> Result<HashMap<(String, String), i64>, QueueError> {
    let keys: BTreeSet<(&str, &str)> = keys.collect();
    if keys.is_empty() {
        return Ok(HashMap::new());
    }
    let (types, ids): (Vec<&str>, Vec<&str>) = keys.into_iter().unzip();
    sqlx::query(
        "INSERT INTO crm_record (portal, sync_type, external_id, created_at)
         SELECT $1, sync_type, external_id, $4
         FROM UNNEST($2::text[], $3::text[]) AS k (sync_type, external_id)
         ON CONFLICT ON CONSTRAINT crm_record_key DO NOTHING",
    )
    .bind(portal)
    .bind(&types)
    .bind(&ids)
    .bind(now)
    .execute(&mut *db)
    .await?;
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT k.sync_type, k.external_id, r.id
         FROM UNNEST($2::text[], $3::text[]) AS k (sync_type, external_id)
         CROSS JOIN LATERAL (
             SELECT id FROM crm_record
             WHERE portal = $1 AND sync_type = k.sync_type AND external_id = k.external_id
             LIMIT 1) AS r",
    )
    .bind(portal)
    .bind(&types)
    .bind(&ids)
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(sync_type, external_id, id)| ((sync_type, external_id), id))
        .collect())
}
