//! Handles subjects that share one HubSpot record, after people merged their records.
//!
//! The survivor has the link and the values that HubSpot holds: the newest of all subjects. The
//! column `brought` also keeps what each subject's own events supplied. So a delete voids only the
//! values of its subject, and an older value of another subject returns. If a survivor is deleted
//! while an alias is live, the alias takes over the HubSpot record and the survivor becomes its
//! alias.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::queue::delivery::settle::own::{Own, load, store};
use crate::queue::delivery::settlement::{End, OwnPart, Settlement};
use crate::queue::model::{Accepted, Register, Stamp};
use crate::queue::{Queue, QueueError};

/// Selects the live aliases of the survivors `$1`: those that still have values.
const LIVING: &str = "SELECT a.alias_of, a.id FROM crm_record a
    WHERE a.alias_of = ANY($1) AND a.erased_at IS NULL
      AND (a.tombstone_at IS NULL OR a.brought -> 'properties' <> '{}'
           OR EXISTS (SELECT 1 FROM sync_queue q JOIN event e ON e.no = q.event_no
                      WHERE q.record_id = a.alias_of AND q.subject_id = a.id
                        AND q.operation = 'upsert' AND q.status IN ('pending', 'retry')
                        AND (e.occurred_at, q.id) > (a.tombstone_at, a.tombstone_row)))
    ORDER BY a.alias_of, a.id DESC";

impl Queue {
    /// Returns those of `records` that have live aliases: HubSpot's values belong to the aliases
    /// too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn with_living_aliases(&self, records: &[i64]) -> Result<HashSet<i64>, QueueError> {
        let mut db = self.pool.acquire().await?;
        Ok(living(&mut db, records).await?.into_keys().collect())
    }
}

/// Finds the alias that takes over from each of `survivors`, if one is live.
pub(super) async fn living(
    db: &mut PgConnection,
    survivors: &[i64],
) -> Result<HashMap<i64, i64>, QueueError> {
    if survivors.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<(i64, i64)> = sqlx::query_as(LIVING).bind(survivors).fetch_all(db).await?;
    Ok(found.into_iter().collect())
}

/// Starts to store separately what each of `records` supplied itself.
pub(super) async fn keep_apart(db: &mut PgConnection, records: &[i64]) -> Result<(), QueueError> {
    sqlx::query(
        "UPDATE crm_record r SET brought = jsonb_build_object('properties', r.accepted, 'slots', COALESCE(
             (SELECT jsonb_object_agg(slot, jsonb_build_array(target_id, set_at, set_by))
              FROM crm_association WHERE record_id = r.id), '{}'))
         WHERE id = ANY($1) AND brought IS NULL",
    )
    .bind(records)
    .execute(db)
    .await?;
    Ok(())
}

/// Stores what the rows of each subject supplied.
pub(super) async fn write_own(
    db: &mut PgConnection,
    ours: &[&Settlement],
    targets: &HashMap<(String, String), i64>,
) -> Result<(), QueueError> {
    let parts: Vec<&OwnPart> = ours.iter().flat_map(|s| &s.own).collect();
    for part in parts {
        let Some(mut own) = load(db, part.record).await? else { continue };
        for (name, register) in &part.values {
            if own.properties.get(name).is_none_or(|held| held.stamp < register.stamp) {
                own.properties.insert(name.clone(), register.clone());
            }
        }
        for write in &part.slots {
            let target = write.target.as_ref().and_then(|key| targets.get(key).copied());
            let Stamp { at, row } = write.stamp;
            if own.slots.get(&write.slot).is_none_or(|held| (held.1, held.2) < (at, row)) {
                own.slots.insert(write.slot.clone(), (target, at, row));
            }
        }
        store(db, part.record, &own).await?;
    }
    Ok(())
}

/// Voids what the deleted or erased aliases among `ours` supplied to their survivors, and returns
/// these survivors. The value of another subject returns. A value that no other subject supplied is
/// cleared in HubSpot.
pub(super) async fn void_aliases(
    db: &mut PgConnection,
    ours: &[&Settlement],
    now: DateTime<Utc>,
) -> Result<Vec<i64>, QueueError> {
    let mut touched = Vec::new();
    let gone: Vec<i64> = ours.iter().filter(|s| s.is_gone()).map(|s| s.record).collect();
    if gone.is_empty() {
        return Ok(touched);
    }
    let survivors: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT id, alias_of FROM crm_record WHERE id = ANY($1) AND alias_of IS NOT NULL",
    )
    .bind(gone)
    .fetch_all(&mut *db)
    .await?;
    let survivors: HashMap<i64, i64> = survivors.into_iter().collect();
    for gone in ours {
        let Some(&survivor) = survivors.get(&gone.record) else { continue };
        touched.push(survivor);
        if gone.end == End::Erased {
            // Events from before the erasure have no effect any more.
            sqlx::query(
                "UPDATE sync_queue SET status = 'synced', written = true, processed_at = $2
                 WHERE subject_id = $1 AND operation = 'upsert' AND status IN ('pending', 'retry')",
            )
            .bind(gone.record)
            .bind(now)
            .execute(&mut *db)
            .await?;
        }
        let Some(mut own) = load(db, gone.record).await? else { continue };
        let void = own.void(gone.tombstone.filter(|_| gone.end != End::Erased));
        store(db, gone.record, &own).await?;
        take_back(db, survivor, &void).await?;
    }
    Ok(touched)
}

/// Replaces the values of `void` that `survivor` still has with the next-newest values of the
/// group. A worker that holds the survivor does not know of this. So its lease is revoked, and the
/// survivor is sent whole.
async fn take_back(db: &mut PgConnection, survivor: i64, void: &Own) -> Result<(), QueueError> {
    let group: Vec<(Json<Own>,)> = sqlx::query_as(
        "SELECT brought FROM crm_record WHERE (id = $1 OR alias_of = $1) AND brought IS NOT NULL",
    )
    .bind(survivor)
    .fetch_all(&mut *db)
    .await?;
    let (Json(mut accepted),): (Json<Accepted>,) =
        sqlx::query_as("SELECT accepted FROM crm_record WHERE id = $1 FOR NO KEY UPDATE")
            .bind(survivor)
            .fetch_one(&mut *db)
            .await?;
    let mut changed = false;
    for (name, dead) in &void.properties {
        if accepted.get(name).is_none_or(|held| held.stamp != dead.stamp) {
            continue;
        }
        let others = group.iter().filter_map(|(own,)| own.properties.get(name));
        // Older than every other stamp.
        let nobody = Stamp { at: DateTime::UNIX_EPOCH, row: 0 };
        let cleared = Register { value: String::new(), stamp: nobody };
        let next = others.max_by_key(|r| r.stamp).cloned().unwrap_or(cleared);
        accepted.insert(name.clone(), next);
        changed = true;
    }
    for (slot, (_, _, dead)) in &void.slots {
        let others = group.iter().filter_map(|(own,)| own.slots.get(slot));
        let next = others.max_by_key(|slot| (slot.1, slot.2)).copied();
        let (target, at, row) = next.unwrap_or((None, DateTime::UNIX_EPOCH, *dead));
        let rows = sqlx::query(
            "UPDATE crm_association SET target_id = $4, set_at = $5, set_by = $6, refused = false
             WHERE record_id = $1 AND slot = $2 AND set_by = $3",
        )
        .bind(survivor)
        .bind(slot)
        .bind(dead)
        .bind(target)
        .bind(at)
        .bind(row)
        .execute(&mut *db)
        .await?;
        changed |= rows.rows_affected() > 0;
    }
    // Set the mark: another transaction may link a target now, and it cannot see the slot yet.
    sqlx::query(
        "UPDATE crm_record
         SET accepted = $2, lease_token = NULL, lease_until = NULL, lease_holder = NULL,
             leased_at = NULL,
             doubt = CASE WHEN $3 OR lease_token IS NOT NULL THEN nextval('lease_token') ELSE doubt END,
             link_mark = CASE WHEN $3 THEN nextval('lease_token') ELSE link_mark END
         WHERE id = $1",
    )
    .bind(survivor)
    .bind(Json(accepted))
    .bind(changed)
    .execute(db)
    .await?;
    Ok(())
}

/// Separates records whose HubSpot record was deleted from their aliases. Each one is created again
/// from what its own events supplied. Returns the aliases.
pub(super) async fn part_ways(
    db: &mut PgConnection,
    ours: &[&Settlement],
) -> Result<Vec<i64>, QueueError> {
    let gone: Vec<i64> = ours.iter().filter(|s| s.is_gone()).map(|s| s.record).collect();
    if gone.is_empty() {
        return Ok(gone);
    }
    let apart: Vec<(i64, Option<i64>)> = sqlx::query_as(
        "SELECT id, alias_of FROM crm_record
         WHERE brought IS NOT NULL AND (alias_of = ANY($1) OR (id = ANY($1) AND alias_of IS NULL))",
    )
    .bind(&gone)
    .fetch_all(&mut *db)
    .await?;
    for &(record, _) in &apart {
        let Some(mut own) = load(db, record).await? else { continue };
        if let Some(deleted) = ours.iter().find(|s| s.record == record) {
            own.void(deleted.tombstone.filter(|_| deleted.end != End::Erased));
        }
        restore(db, record, &own).await?;
    }
    Ok(apart.into_iter().filter_map(|(id, alias_of)| alias_of.map(|_| id)).collect())
}

/// Gives a record what it supplied itself: values, slots and rows. The rows are reopened, so that
/// those that cannot be sent again fail visibly.
async fn restore(db: &mut PgConnection, record: i64, own: &Own) -> Result<(), QueueError> {
    sqlx::query(
        "UPDATE sync_queue SET record_id = $1, subject_id = NULL
         WHERE subject_id = $1 AND operation = 'upsert' AND status <> 'synced'",
    )
    .bind(record)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE sync_queue
         SET record_id = $1, subject_id = NULL, status = 'pending', written = false,
             processed_at = NULL
         WHERE id = ANY($2) AND operation = 'upsert' AND status <> 'failed'
           AND COALESCE(subject_id, record_id) = $1",
    )
    .bind(record)
    .bind(own.rows())
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE crm_record
         SET alias_of = NULL, brought = NULL, accepted = $2,
             doubt = CASE WHEN $2 = '{}'::jsonb THEN doubt ELSE nextval('lease_token') END
         WHERE id = $1",
    )
    .bind(record)
    .bind(Json(&own.properties))
    .execute(&mut *db)
    .await?;
    for (slot, &(target, at, row)) in &own.slots {
        sqlx::query(
            "INSERT INTO crm_association AS a (record_id, slot, target_id, set_at, set_by)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (record_id, slot, entry) DO UPDATE
             SET target_id = excluded.target_id, set_at = excluded.set_at, set_by = excluded.set_by
             WHERE (a.set_at, a.set_by) < (excluded.set_at, excluded.set_by)",
        )
        .bind(record)
        .bind(slot)
        .bind(target)
        .bind(at)
        .bind(row)
        .execute(&mut *db)
        .await?;
    }
    Ok(())
}
