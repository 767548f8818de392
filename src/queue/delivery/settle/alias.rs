//! Handles aliases: two hubferry records that lead to one HubSpot record.
//!
//! If a HubSpot record is already linked to another record, it is not adopted. If people merged the
//! HubSpot record of a linked record into another record's, the linked record becomes an alias of
//! the other record, which is called the survivor. Rows, values and slots move to the survivor, and
//! so do later events. A delete of the alias never removes the survivor's HubSpot record.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::queue::QueueError;
use crate::queue::delivery::refresh::refresh;
use crate::queue::delivery::settle::subject::keep_apart;
use crate::queue::delivery::settlement::{Link, Settlement};
use crate::queue::model::Accepted;

/// Finds, for each settlement that would link to a HubSpot record, the record that is already
/// linked to it. Settlements that would link to the same HubSpot record wait for each other here,
/// before any record is locked. Of two in one settle, the first gets the link.
pub(super) async fn holders(
    db: &mut PgConnection,
    settlements: &[Settlement],
) -> Result<HashMap<i64, i64>, QueueError> {
    let linking = settlements.iter().filter(|s| matches!(s.link, Link::Adopt(_) | Link::Moved(_)));
    let (records, links): (Vec<i64>, Vec<String>) =
        linking.filter_map(|s| Some((s.record, s.link.id()?.to_owned()))).unzip();
    if records.is_empty() {
        return Ok(HashMap::new());
    }
    sqlx::query(
        "SELECT pg_advisory_xact_lock(hashtextextended(link, 7))
         FROM (SELECT DISTINCT link FROM UNNEST($1::text[]) AS l (link) ORDER BY link) AS sorted",
    )
    .bind(&links)
    .execute(&mut *db)
    .await?;
    let held: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT a.id, min(r.id) FROM UNNEST($1::bigint[], $2::text[]) AS a (id, link)
         JOIN crm_record me ON me.id = a.id
         JOIN crm_record r ON r.hubspot_id = a.link AND r.sync_type = me.sync_type
              AND r.portal = me.portal AND r.id <> a.id
         GROUP BY a.id",
    )
    .bind(&records)
    .bind(&links)
    .fetch_all(&mut *db)
    .await?;
    let mut holders: HashMap<i64, i64> = held.into_iter().collect();
    let mut first: BTreeMap<&String, i64> = BTreeMap::new();
    for (record, link) in records.iter().zip(&links) {
        let taken = *first.entry(link).or_insert(*record);
        if taken != *record {
            holders.entry(*record).or_insert(taken);
        }
    }
    Ok(holders)
}

/// Finds the records that are linked to HubSpot records that were merged into that of a settlement,
/// together with the settlement's record. They become its aliases.
pub(super) async fn absorbed(
    db: &mut PgConnection,
    settlements: &[Settlement],
) -> Result<Vec<(i64, i64)>, QueueError> {
    let each = settlements.iter().flat_map(|s| s.absorbs.iter().map(|id| (s.record, id.as_str())));
    let (records, links): (Vec<i64>, Vec<&str>) = each.unzip();
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let found = sqlx::query_as(
        "SELECT DISTINCT r.id, a.id FROM UNNEST($1::bigint[], $2::text[]) AS a (id, link)
         JOIN crm_record me ON me.id = a.id
         JOIN crm_record r ON r.hubspot_id = a.link AND r.sync_type = me.sync_type
              AND r.portal = me.portal AND r.id <> a.id
         ORDER BY r.id, a.id",
    );
    Ok(found.bind(records).bind(links).fetch_all(db).await?)
}

/// Finds the aliases of records that are deleted or merged again, and the survivors of aliases that
/// are deleted. They change too, so they are locked in the order of their ids like all others.
pub(super) async fn aliases(
    db: &mut PgConnection,
    settlements: &[Settlement],
    holders: &HashMap<i64, i64>,
) -> Result<Vec<i64>, QueueError> {
    let changing = settlements.iter().filter(|s| s.is_gone() || s.is_merged()).map(|s| s.record);
    let changing: Vec<i64> = changing.chain(holders.values().copied()).collect();
    let own = settlements.iter().flat_map(|s| &s.own).map(|part| part.record);
    let mut locks: Vec<i64> = own.collect();
    if !changing.is_empty() {
        let more: Vec<i64> = sqlx::query_scalar(
            "SELECT id FROM crm_record WHERE alias_of = ANY($1)
             UNION SELECT alias_of FROM crm_record WHERE id = ANY($1) AND alias_of IS NOT NULL",
        )
        .bind(&changing)
        .fetch_all(db)
        .await?;
        locks.extend(more);
    }
    Ok(locks)
}

/// Merges each record of `pairs` into its survivor, which takes over all of its data. The caller
/// has locked and settled both.
pub(super) async fn merge(
    db: &mut PgConnection,
    pairs: &[(i64, i64)],
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    let mut touched = HashSet::new();
    let mut gone_over = HashSet::new();
    for &(alias, survivor) in pairs {
        // Two records would each become an alias of the other.
        if gone_over.contains(&survivor) || !gone_over.insert(alias) {
            continue;
        }
        keep_apart(db, &[alias, survivor]).await?;
        let accepted: Vec<(i64, Json<Accepted>)> =
            sqlx::query_as("SELECT id, accepted FROM crm_record WHERE id IN ($1, $2)")
                .bind(alias)
                .bind(survivor)
                .fetch_all(&mut *db)
                .await?;
        let mut newest = Accepted::new();
        for (name, register) in accepted.into_iter().flat_map(|(_, accepted)| accepted.0) {
            if newest.get(&name).is_none_or(|held| held.stamp < register.stamp) {
                newest.insert(name, register);
            }
        }
        // In doubt: the survivor is sent whole, its own key first. A worker that holds the survivor
        // does not know what moves to it, and would store what it read before, so its lease is
        // revoked.
        sqlx::query(
            "UPDATE crm_record
             SET accepted = $2, doubt = nextval('lease_token'), lease_token = NULL,
                 lease_until = NULL, lease_holder = NULL, leased_at = NULL
             WHERE id = $1",
        )
        .bind(survivor)
        .bind(Json(newest))
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "UPDATE crm_record s SET adopted_at = a.adopted_at, adopted_by = a.adopted_by
             FROM crm_record a
             WHERE s.id = $2 AND a.id = $1 AND s.adopted_at IS NULL AND a.adopted_at IS NOT NULL",
        )
        .bind(alias)
        .bind(survivor)
        .execute(&mut *db)
        .await?;
        sqlx::query(
            "UPDATE crm_record
             SET alias_of = $2, hubspot_id = NULL, link_mark = nextval('lease_token'), accepted = '{}', doubt = 0,
                 lookup = NULL, lookup_id = NULL, lost_link = NULL, lease_token = NULL, lease_until = NULL,
                 lease_holder = NULL, leased_at = NULL, adopted_at = NULL, adopted_by = NULL,
                 erase_confirmed = false
             WHERE id = $1",
        )
        .bind(alias)
        .bind(survivor)
        .execute(&mut *db)
        .await?;
        move_over(db, alias, survivor).await?;
        touched.extend([alias, survivor]);
    }
    let touched: Vec<i64> = touched.into_iter().collect();
    refresh(db, &touched, now).await
}

async fn move_over(db: &mut PgConnection, alias: i64, survivor: i64) -> Result<(), QueueError> {
    sqlx::query("UPDATE crm_record SET alias_of = $2 WHERE alias_of = $1")
        .bind(alias)
        .bind(survivor)
        .execute(&mut *db)
        .await?;
    // Failed rows move too: if they were retried under the old record, they would create it again.
    sqlx::query(
        "UPDATE sync_queue SET record_id = $2, subject_id = NULLIF(COALESCE(subject_id, $1), $2)
         WHERE record_id = $1 AND status <> 'synced' AND operation = 'upsert'",
    )
    .bind(alias)
    .bind(survivor)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "INSERT INTO crm_association AS a (record_id, slot, entry, target_id, set_at, set_by)
         SELECT $2, slot, entry, target_id, set_at, set_by FROM crm_association WHERE record_id = $1
         ON CONFLICT (record_id, slot, entry) DO UPDATE
         SET target_id = excluded.target_id, set_at = excluded.set_at, set_by = excluded.set_by,
             refused = a.refused AND a.target_id IS NOT DISTINCT FROM excluded.target_id
         WHERE (a.set_at, a.set_by) < (excluded.set_at, excluded.set_by)",
    )
    .bind(alias)
    .bind(survivor)
    .execute(&mut *db)
    .await?;
    part(db, alias, survivor).await
}

/// Both records may have created a pair for the same slot, and HubSpot has both pairs now. The
/// survivor keeps one, the wanted one if it exists. The alias keeps the other one and owes its
/// removal.
async fn part(db: &mut PgConnection, alias: i64, survivor: i64) -> Result<(), QueueError> {
    sqlx::query(
        "WITH kept AS (
             SELECT a.slot, a.entry, a.made_target_id, a.made_from, a.made_to, a.sure,
                    s.made_target_id AS other_target, s.made_from AS other_from,
                    s.made_to AS other_to, s.sure AS other_sure
             FROM crm_association a
             JOIN crm_association s ON s.record_id = $2 AND s.slot = a.slot
                  AND s.entry = a.entry
             WHERE a.record_id = $1 AND a.made_to IS NOT NULL
               AND (s.made_to IS NULL OR (a.made_target_id IS NOT DISTINCT FROM s.target_id
                                          AND s.made_target_id IS DISTINCT FROM s.target_id))
         ), moved AS (
             UPDATE crm_association s
             SET made_target_id = k.made_target_id, made_from = k.made_from, made_to = k.made_to,
                 sure = k.sure, refused = false
             FROM kept k WHERE s.record_id = $2 AND s.slot = k.slot AND s.entry = k.entry
         )
         UPDATE crm_association a
         SET made_target_id = k.other_target, made_from = k.other_from, made_to = k.other_to,
             sure = k.other_sure
         FROM kept k WHERE a.record_id = $1 AND a.slot = k.slot AND a.entry = k.entry",
    )
    .bind(alias)
    .bind(survivor)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "DELETE FROM crm_association a USING crm_association s
         WHERE a.record_id = $1 AND s.record_id = $2 AND s.slot = a.slot AND s.entry = a.entry
           AND (a.made_to IS NULL OR a.made_target_id IS NOT DISTINCT FROM s.made_target_id
                OR a.made_target_id IS NOT DISTINCT FROM s.target_id)",
    )
    .bind(alias)
    .bind(survivor)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        // The alias itself has no recent value.
        "UPDATE crm_association SET target_id = NULL, refused = false, set_at = 'epoch',
             made_from = (SELECT hubspot_id FROM crm_record WHERE id = $2)
         WHERE record_id = $1",
    )
    .bind(alias)
    .bind(survivor)
    .execute(db)
    .await?;
    Ok(())
}
