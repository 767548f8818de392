//! The records that events are about: made where missing, followed where merged, refused where erased.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::{Admitted, Key};
use crate::mapping::{Change, Operation};
use crate::queue::{PORTAL, QueueError};

/// The records of `keys` (sync type, external id), made where they are missing.
pub(in crate::queue) async fn ensure_records<'a>(
    db: &mut PgConnection,
    keys: impl Iterator<Item = (&'a str, &'a str)>,
    now: DateTime<Utc>,
) -> Result<HashMap<(String, String), i64>, QueueError> {
    // Sorted, so that two transactions which make the same records wait in one order.
    let keys: BTreeSet<(&str, &str)> = keys.collect();
    let (types, ids): (Vec<&str>, Vec<&str>) = keys.into_iter().unzip();
    sqlx::query(
        "INSERT INTO crm_record (portal, sync_type, external_id, created_at)
         SELECT $1, sync_type, external_id, $4
         FROM UNNEST($2::text[], $3::text[]) AS k (sync_type, external_id)
         ON CONFLICT ON CONSTRAINT crm_record_key DO NOTHING",
    )
    .bind(PORTAL)
    .bind(&types)
    .bind(&ids)
    .bind(now)
    .execute(&mut *db)
    .await?;
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT r.sync_type, r.external_id, r.id FROM crm_record r
         JOIN UNNEST($2::text[], $3::text[]) AS k (sync_type, external_id) USING (sync_type, external_id)
         WHERE r.portal = $1",
    )
    .bind(PORTAL)
    .bind(&types)
    .bind(&ids)
    .fetch_all(db)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(sync_type, external_id, id)| ((sync_type, external_id), id))
        .collect())
}

/// Which of `records` are aliases, and of which record.
pub(super) async fn survivors(
    db: &mut PgConnection,
    records: &[i64],
) -> Result<HashMap<i64, i64>, QueueError> {
    let aliases: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, alias_of FROM crm_record WHERE id = ANY($1) AND alias_of IS NOT NULL",
    )
    .bind(records)
    .fetch_all(db)
    .await?;
    Ok(aliases.into_iter().collect())
}

/// Which of the new events would bring an erased subject back.
pub(super) async fn erased_subjects<'a>(
    db: &mut PgConnection,
    fresh: &[(i64, &'a Admitted)],
) -> Result<HashSet<Key<'a>>, QueueError> {
    let changes = fresh.iter().flat_map(|(_, a)| a.changes.iter().map(move |c| (a, c)));
    let upserts: Vec<_> = changes.filter(|(_, c)| c.operation == Operation::Upsert).collect();
    let types: Vec<&str> = upserts.iter().map(|(_, c)| c.sync_type.as_str()).collect();
    let ids: Vec<&str> = upserts.iter().map(|(_, c)| c.external_id.as_str()).collect();
    let erased: Vec<(String, String)> = sqlx::query_as(
        "SELECT r.sync_type, r.external_id FROM crm_record r
         JOIN UNNEST($2::text[], $3::text[]) AS k (sync_type, external_id) USING (sync_type, external_id)
         WHERE r.portal = $1 AND r.erased_at IS NOT NULL",
    )
    .bind(PORTAL)
    .bind(types)
    .bind(ids)
    .fetch_all(db)
    .await?;
    let is_erased =
        |c: &Change| erased.iter().any(|(t, id)| *t == c.sync_type && *id == c.external_id);
    let about = upserts.iter().filter(|(_, c)| is_erased(c));
    Ok(about.map(|(a, _)| (a.event.source.as_str(), a.event.id.as_str())).collect())
}
