//! Moves a HubSpot record to an alias of its deleted record.

use sqlx::PgConnection;

use crate::queue::QueueError;

/// Moves the HubSpot record of `survivor` to its alias `heir`, with everything that is owed to it.
/// The survivor becomes an alias of the heir, and so do the other aliases. The deletes stay with
/// their own records.
pub(super) async fn promote(
    db: &mut PgConnection,
    survivor: i64,
    heir: i64,
) -> Result<(), QueueError> {
    // In doubt: it is sent whole, its own key first.
    sqlx::query(
        "UPDATE crm_record h
         SET alias_of = NULL, hubspot_id = s.hubspot_id, lost_link = s.lost_link,
             accepted = s.accepted, doubt = nextval('lease_token'),
             adopted_at = s.adopted_at, adopted_by = s.adopted_by,
             link_mark = nextval('lease_token'), lookup = NULL, lookup_id = NULL, failures = 0, backoff_until = NULL,
             lease_token = NULL, lease_until = NULL, lease_holder = NULL, leased_at = NULL
         FROM crm_record s WHERE h.id = $2 AND s.id = $1",
    )
    .bind(survivor)
    .bind(heir)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE crm_record
         SET alias_of = $2, hubspot_id = CASE WHEN id <> $1 THEN hubspot_id END,
             lost_link = NULL, accepted = '{}', doubt = 0, lookup = NULL, lookup_id = NULL,
             adopted_at = NULL, adopted_by = NULL, erase_confirmed = false,
             link_mark = nextval('lease_token')
         WHERE id = $1 OR alias_of = $1",
    )
    .bind(survivor)
    .bind(heir)
    .execute(&mut *db)
    .await?;
    sqlx::query(
        "UPDATE sync_queue
         SET record_id = $2,
             subject_id = NULLIF(COALESCE(subject_id, $1), $2)
         WHERE record_id = $1 AND operation = 'upsert' AND status <> 'synced'",
    )
    .bind(survivor)
    .bind(heir)
    .execute(&mut *db)
    .await?;
    // Pairs belong to the HubSpot record. An alias has only the pairs that are still to be removed.
    // They are sorted, so that all are removed before the first one is added again.
    sqlx::query(
        "WITH gone AS (DELETE FROM crm_association WHERE record_id IN ($1, $2) RETURNING *)
         INSERT INTO crm_association (record_id, slot, entry, target_id, set_at, set_by,
                                      made_target_id, made_from, made_to, sure, refused)
         SELECT CASE record_id WHEN $1 THEN $2 ELSE $1 END, slot, entry, target_id, set_at, set_by,
                made_target_id, made_from, made_to, sure, refused
         FROM gone ORDER BY record_id, slot, entry",
    )
    .bind(survivor)
    .bind(heir)
    .execute(db)
    .await?;
    Ok(())
}
