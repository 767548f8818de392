//! The SQL statements of a settle. Each one writes all records, slots or rows of the batch.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use crate::queue::QueueError;
use crate::queue::delivery::settlement::{
    Adoption, Certainty, Link, LookupChange, RowVerdict, Settlement,
};
use crate::queue::model::{Accepted, Lookup, Reason};

/// Ends the leases and stores the new state of the records.
pub(super) async fn write_records(
    db: &mut PgConnection,
    ours: &[&Settlement],
    token: i64,
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    let n = ours.len();
    let (mut ids, mut doubts, mut certainty) = (vec![], vec![], vec![]);
    let (mut relink, mut links, mut accepted) =
        (vec![], vec![], Vec::<Option<Json<&Accepted>>>::with_capacity(n));
    let (mut tomb_at, mut tomb_row) = (vec![], vec![]);
    let (mut failed, mut backoff) = (vec![], vec![]);
    let (mut wait_until, mut wait_reason) = (vec![], vec![]);
    let (mut looks, mut lookups, mut lookup_ids) = (vec![], vec![], vec![]);
    let mut loaded = vec![];
    let (mut adopters, mut disowns) = (vec![], vec![]);
    for s in ours {
        ids.push(s.record);
        doubts.push(s.doubt);
        certainty.push(match s.certainty {
            Certainty::Certain => 1_i16,
            Certainty::Doubtful => -1,
            Certainty::AsBefore => 0,
        });
        let lookup = match &s.lookup {
            LookupChange::Set(lookup) => Some(lookup),
            LookupChange::Keep | LookupChange::Clear => None,
        };
        looks.push(s.lookup != LookupChange::Keep);
        lookups.push(lookup.map(Lookup::word));
        lookup_ids.push(lookup.and_then(Lookup::id));
        relink.push(s.link != Link::Keep);
        links.push(s.link.id());
        accepted.push(s.accepted.as_ref().map(Json));
        tomb_at.push(s.tombstone.map(|t| t.at));
        tomb_row.push(s.tombstone.map(|t| t.row));
        let (count, until) = s.backoff.noted();
        failed.push(count);
        backoff.push(until);
        wait_until.push(s.wait.as_ref().map(|w| w.until));
        wait_reason.push(s.wait.as_ref().map(|w| w.reason.clone()));
        loaded.push(s.wait.as_ref().map_or(0, |w| w.loaded));
        adopters.push(match s.adoption {
            Adoption::Begin(row) => Some(row),
            Adoption::Keep | Adoption::End => None,
        });
        disowns.push(s.adoption == Adoption::End);
    }
    sqlx::query(
        "UPDATE crm_record r
         SET lease_token = NULL, lease_until = NULL, lease_holder = NULL, leased_at = NULL,
             hubspot_id = CASE WHEN s.relink THEN s.link ELSE r.hubspot_id END,
             lost_link = CASE WHEN NOT s.relink THEN r.lost_link
                              WHEN s.link IS NULL THEN COALESCE(r.hubspot_id, r.lost_link) END,
             lookup = CASE WHEN s.looks THEN s.lookup WHEN NOT s.relink THEN r.lookup END,
             lookup_id = CASE WHEN s.looks THEN s.lookup_id WHEN NOT s.relink THEN r.lookup_id END,
             -- Only if a slot or an alias may wait for the link. Code that adds a slot to this record
             -- locks the record, as this settle has: so either the slot is seen here, or the other
             -- transaction sees the new link.
             link_mark = CASE WHEN s.relink AND (
                                   EXISTS (SELECT 1 FROM crm_association a WHERE a.target_id = r.id)
                                   OR EXISTS (SELECT 1 FROM crm_association a WHERE a.record_id = r.id)
                                   OR EXISTS (SELECT 1 FROM crm_record x WHERE x.alias_of = r.id))
                              THEN $1 ELSE r.link_mark END,
             adopted_at = CASE WHEN s.adopter IS NOT NULL THEN $2
                               WHEN NOT s.disowns THEN r.adopted_at END,
             adopted_by = CASE WHEN s.adopter IS NOT NULL THEN s.adopter
                               WHEN NOT s.disowns THEN r.adopted_by END,
             erase_confirmed = r.erase_confirmed AND s.adopter IS NULL AND NOT s.disowns,
             accepted = COALESCE(s.accepted, r.accepted),
             tombstone_at = COALESCE(s.tomb_at, r.tombstone_at),
             tombstone_row = COALESCE(s.tomb_row, r.tombstone_row),
             doubt = CASE WHEN s.certain < 0 THEN $1
                          WHEN s.certain > 0 AND r.doubt = s.doubt THEN 0 ELSE r.doubt END,
             failures = CASE s.failed WHEN 0 THEN 0 WHEN 1 THEN r.failures + 1 ELSE r.failures END,
             backoff_until = CASE WHEN s.failed = 0 THEN NULL ELSE COALESCE(s.backoff, r.backoff_until) END,
             waiting_until = CASE WHEN w.waits THEN s.wait_until END,
             waiting_reason = CASE WHEN w.waits THEN s.wait_reason END,
             synced_at = CASE WHEN s.certain > 0 AND s.failed = 0 THEN $2 ELSE r.synced_at END
         FROM UNNEST($3::bigint[], $4::bigint[], $5::smallint[], $6::bool[], $7::text[], $8::jsonb[],
                     $9::timestamptz[], $10::bigint[], $11::int[], $12::timestamptz[],
                     $13::timestamptz[], $14::text[], $15::bool[], $16::text[],
                     $17::text[], $18::bigint[], $19::bigint[], $20::bool[])
              AS s (id, doubt, certain, relink, link, accepted, tomb_at, tomb_row, failed, backoff,
                    wait_until, wait_reason, looks, lookup, lookup_id, loaded, adopter, disowns)
         CROSS JOIN LATERAL (
             -- A row that has arrived since the lease may supply what the record waits for.
             SELECT CASE WHEN s.wait_until IS NOT NULL THEN s.loaded >= (
                 SELECT count(*) FROM sync_queue q
                 WHERE q.record_id = s.id AND q.status IN ('pending', 'retry') AND NOT q.written)
             END AS waits) AS w
         WHERE r.id = s.id",
    )
    .bind(token)
    .bind(now)
    .bind(ids)
    .bind(doubts)
    .bind(certainty)
    .bind(relink)
    .bind(links)
    .bind(accepted)
    .bind(tomb_at)
    .bind(tomb_row)
    .bind(failed)
    .bind(backoff)
    .bind(wait_until)
    .bind(wait_reason)
    .bind(looks)
    .bind(lookups)
    .bind(lookup_ids)
    .bind(loaded)
    .bind(adopters)
    .bind(disowns)
    .execute(db)
    .await?;
    Ok(())
}

/// Stores the slots that are newer than the stored ones.
pub(super) async fn write_slots(
    db: &mut PgConnection,
    ours: &[&Settlement],
    targets: &HashMap<(String, String), i64>,
) -> Result<(), QueueError> {
    let (mut records, mut slots, mut ends) = (vec![], vec![], vec![]);
    let (mut times, mut rows) = (vec![], vec![]);
    for (s, write) in ours.iter().flat_map(|s| s.slots.iter().map(move |w| (s, w))) {
        records.push(s.record);
        slots.push(write.slot.as_str());
        ends.push(write.target.as_ref().and_then(|key| targets.get(key).copied()));
        times.push(write.stamp.at);
        rows.push(write.stamp.row);
    }
    if records.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO crm_association AS a (record_id, slot, target_id, set_at, set_by)
         SELECT * FROM UNNEST($1::bigint[], $2::text[], $3::bigint[], $4::timestamptz[], $5::bigint[])
         ON CONFLICT (record_id, slot, entry) DO UPDATE
         SET target_id = excluded.target_id, set_at = excluded.set_at, set_by = excluded.set_by,
             refused = a.refused AND a.target_id IS NOT DISTINCT FROM excluded.target_id
         WHERE (a.set_at, a.set_by) <= (excluded.set_at, excluded.set_by)",
    )
    .bind(records)
    .bind(slots)
    .bind(ends)
    .bind(times)
    .bind(rows)
    .execute(db)
    .await?;
    Ok(())
}

/// Stores the rows' verdicts. Rows whose record owes associations wait for them as `written`.
pub(super) async fn write_rows(
    db: &mut PgConnection,
    ours: &[&Settlement],
    call: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    let ids: Vec<i64> = ours.iter().map(|s| s.record).collect();
    let owing: HashSet<i64> = sqlx::query_scalar(
        "SELECT id FROM UNNEST($1::bigint[]) AS r (id)
         WHERE (SELECT true FROM association_owed a WHERE a.record_id = r.id LIMIT 1)",
    )
    .bind(&ids)
    .fetch_all(&mut *db)
    .await?
    .into_iter()
    .collect();
    let (mut written, mut owes, mut warnings) = (vec![], vec![], vec![]);
    let mut refused = Vec::new();
    for (s, (row, verdict)) in ours.iter().flat_map(|s| s.rows.iter().map(move |r| (s, r))) {
        match verdict {
            RowVerdict::Written(notes) => {
                written.push(*row);
                owes.push(owing.contains(&s.record));
                warnings.push((!notes.is_empty()).then_some(Json(notes)));
            }
            RowVerdict::Retry(reason) => refused.push((*row, "retry", reason)),
            RowVerdict::Failed(reason) => refused.push((*row, "failed", reason)),
        }
    }
    sqlx::query(
        "UPDATE sync_queue q
         SET written = true,
             status = CASE WHEN NOT v.owes THEN 'synced' WHEN q.status = 'failed' THEN 'pending'
                           ELSE q.status END,
             processed_at = CASE WHEN NOT v.owes THEN $1 WHEN q.status <> 'failed' THEN q.processed_at END,
             call_id = COALESCE($2, q.call_id), warnings = v.warnings,
             error_code = NULL, error_property = NULL, error_message = NULL, error_hint = NULL,
             error_correlation_id = NULL, error_http_status = NULL
         FROM UNNEST($3::bigint[], $4::bool[], $5::jsonb[]) AS v (id, owes, warnings)
         WHERE q.id = v.id AND (q.status IN ('pending', 'retry')
                                -- Rows that were sent along.
                                OR (q.status = 'failed' AND q.along AND q.discarded_at IS NULL))",
    )
    .bind(now)
    .bind(call)
    .bind(written)
    .bind(owes)
    .bind(warnings)
    .execute(&mut *db)
    .await?;
    refuse_rows(db, &refused, call, now).await
}

/// Marks rows `retry` or `failed` with their reasons, and writes an attempt for each. A row may
/// have ended before its record became an alias, and its association is refused only now. Such a
/// row moves to the survivor, which owes the association. If it were retried under its old record,
/// it would create that record again.
pub(in crate::queue) async fn refuse_rows(
    db: &mut PgConnection,
    refused: &[(i64, &str, &Reason)],
    call: Option<i64>,
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    if refused.is_empty() {
        return Ok(());
    }
    // Each row has one verdict: the first one.
    let refused: BTreeMap<i64, (&str, &Reason)> =
        refused.iter().rev().map(|(row, status, reason)| (*row, (*status, *reason))).collect();
    let ids: Vec<i64> = refused.keys().copied().collect();
    let column = |f: fn(&Reason) -> Option<&str>| -> Vec<Option<&str>> {
        refused.values().map(|(_, reason)| f(reason)).collect()
    };
    sqlx::query(
        "WITH v AS (
             SELECT v.*, o.portal, CASE WHEN o.operation = 'upsert' THEN r.alias_of END AS survivor
             FROM UNNEST($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::int[])
                 AS v (id, status, class, code, property, message, hint, correlation_id, http_status)
             JOIN sync_queue o ON o.id = v.id
             JOIN crm_record r ON r.id = o.record_id
         ), noted AS (
             INSERT INTO attempt (portal, row_id, call_id, attempted_at, class, code, property, message,
                                  hint, correlation_id, http_status)
             SELECT portal, id, $2, $1, class, code, property, message, hint, correlation_id, http_status FROM v
         )
         UPDATE sync_queue q
         SET status = v.status, processed_at = CASE WHEN v.status = 'failed' THEN $1 END,
             record_id = COALESCE(v.survivor, q.record_id),
             subject_id = CASE WHEN v.survivor IS NULL THEN q.subject_id
                               ELSE NULLIF(COALESCE(q.subject_id, q.record_id), v.survivor) END,
             call_id = COALESCE($2, q.call_id),
             retry_count = q.retry_count + CASE WHEN v.status = 'retry' THEN 1 ELSE 0 END,
             error_code = v.code, error_property = v.property, error_message = v.message,
             error_hint = v.hint, error_correlation_id = v.correlation_id,
             error_http_status = v.http_status,
             along = v.status = 'failed' AND v.class = 'transient'
         FROM v WHERE q.id = v.id",
    )
    .bind(now)
    .bind(call)
    .bind(&ids)
    .bind(refused.values().map(|(status, _)| *status).collect::<Vec<_>>())
    .bind(column(|r| Some(r.class)))
    .bind(column(|r| Some(&r.code)))
    .bind(column(|r| r.property.as_deref()))
    .bind(column(|r| Some(&r.message)))
    .bind(column(|r| r.hint.as_deref()))
    .bind(column(|r| r.correlation_id.as_deref()))
    .bind(refused.values().map(|(_, reason)| reason.http_status).collect::<Vec<_>>())
    .execute(db)
    .await?;
    Ok(())
}
