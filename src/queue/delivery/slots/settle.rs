//! Stores the results of an association call, and ends the lease in the same transaction.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::queue::delivery::refresh::{lock, refresh};
use crate::queue::delivery::settle::{Settled, refuse_rows};
use crate::queue::delivery::settlement::Backoff;
use crate::queue::delivery::slots::{OwedSlot, SlotSettlement, SlotVerdict};
use crate::queue::intake::notify::notify;
use crate::queue::model::{Lease, Reason};
use crate::queue::{Queue, QueueError};

impl Queue {
    /// Ends `lease` for the records of `settlement`, guarded by the lease's token, in one
    /// transaction.
    ///
    /// # Errors
    /// When the database fails; nothing has changed then.
    pub async fn settle_slots(
        &self,
        lease: &Lease,
        settlement: &SlotSettlement<'_>,
        backoff: impl Fn(i64) -> Backoff,
        now: DateTime<Utc>,
    ) -> Result<Settled, QueueError> {
        let SlotSettlement { records, verdicts, max_retries, call } = *settlement;
        let mut tx = self.begin().await?;
        let mut ids = records.to_vec();
        let moved = ends(&mut tx, self.portal(), verdicts).await?;
        ids.sort_unstable();
        let mut locks = [&ids[..], &moved].concat();
        locks.sort_unstable();
        locks.dedup();
        lock(&mut tx, &locks).await?;
        let held: Vec<i64> =
            sqlx::query_scalar("SELECT id FROM crm_record WHERE id = ANY($1) AND lease_token = $2")
                .bind(&ids)
                .bind(lease.token)
                .fetch_all(&mut *tx)
                .await?;
        let (ours, late): (Vec<&Verdict>, Vec<&Verdict>) =
            verdicts.iter().partition(|(slot, _)| held.contains(&slot.record_id));
        note(&mut tx, MADE, ours.iter().filter(|(_, v)| *v == SlotVerdict::Made)).await?;
        note(&mut tx, DROPPED, ours.iter().filter(|(_, v)| *v == SlotVerdict::Dropped)).await?;
        let mut refused = Vec::new();
        for (slot, verdict) in ours {
            refused.extend(refusals(&mut tx, slot, verdict, max_retries).await?);
        }
        refuse_rows(&mut tx, &refused, call, now).await?;
        // The call may have undone a call of the next worker, so the pair is created again.
        if call.is_some() {
            note(&mut tx, UNSURE, late.iter()).await?;
        }
        release(&mut tx, &held, backoff).await?;
        if !moved.is_empty() {
            sqlx::query("UPDATE crm_record SET doubt = nextval('lease_token') WHERE id = ANY($1)")
                .bind(&moved)
                .execute(&mut *tx)
                .await?;
        }
        refresh(&mut tx, &locks, now).await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        self.cursors.joined();
        Ok(Settled { records: held.len(), fenced: ids.len() - held.len(), again: true })
    }
}

type Verdict = (OwedSlot, SlotVerdict);

/// A row that fails or is retried, and why.
type Refusal<'a> = (i64, &'static str, &'a Reason);

const MADE: &str = "UPDATE crm_association a SET sure = true
    FROM UNNEST($1::bigint[], $2::text[], $3::bigint[]) AS s (record_id, slot, entry)
    WHERE a.record_id = s.record_id AND a.slot = s.slot AND a.entry = s.entry";
const DROPPED: &str = "UPDATE crm_association a
    SET made_target_id = NULL, made_from = NULL, made_to = NULL, sure = true
    FROM UNNEST($1::bigint[], $2::text[], $3::bigint[]) AS s (record_id, slot, entry)
    WHERE a.record_id = s.record_id AND a.slot = s.slot AND a.entry = s.entry";
const UNSURE: &str = "UPDATE crm_association a SET sure = false
    FROM UNNEST($1::bigint[], $2::text[], $3::bigint[]) AS s (record_id, slot, entry)
    WHERE a.record_id = s.record_id AND a.slot = s.slot AND a.entry = s.entry AND a.made_to IS NOT NULL";

/// Runs `statement` on the slots of `verdicts`.
async fn note<'a>(
    db: &mut PgConnection,
    statement: &'static str,
    verdicts: impl Iterator<Item = &'a &'a Verdict>,
) -> Result<(), QueueError> {
    let (mut owners, mut names, mut entries) = (Vec::new(), Vec::new(), Vec::new());
    for (slot, _) in verdicts {
        owners.push(slot.record_id);
        names.push(slot.slot.as_str());
        entries.push(slot.entry);
    }
    if !owners.is_empty() {
        sqlx::query(statement).bind(owners).bind(names).bind(entries).execute(db).await?;
    }
    Ok(())
}

/// The rows that `verdict` refuses. Also stores whether the slot is given up.
async fn refusals<'a>(
    db: &mut PgConnection,
    slot: &OwedSlot,
    verdict: &'a SlotVerdict,
    max_retries: i32,
) -> Result<Vec<Refusal<'a>>, QueueError> {
    match verdict {
        SlotVerdict::Made | SlotVerdict::Dropped | SlotVerdict::Untried => Ok(Vec::new()),
        SlotVerdict::Retry(reason) => {
            let rows = written_rows(db, slot.record_id).await?;
            Ok(retried(&rows, max_retries, reason))
        }
        SlotVerdict::Unanswered(reason) | SlotVerdict::Elsewhere(reason) => {
            let rows = written_rows(db, slot.record_id).await?;
            let lasting = match rows.as_slice() {
                [] => slot.failures >= max_retries,
                rows => rows.iter().all(|(_, count)| *count >= max_retries),
            };
            let mut refused = Vec::new();
            if slot.again && lasting {
                let row = sqlx::query_scalar(
                    "UPDATE crm_association SET refused = true
                     WHERE record_id = $1 AND slot = $2 AND entry = $3 RETURNING set_by",
                );
                let row = row.bind(slot.record_id).bind(&slot.slot).bind(slot.entry);
                let row = row.fetch_one(db).await?;
                refused.push((row, "failed", reason));
            }
            refused.extend(retried(&rows, max_retries, reason));
            Ok(refused)
        }
        SlotVerdict::Refused(reason) => {
            // A pair that was not created is forgotten. A pair that was not removed still exists.
            let row = sqlx::query_scalar(
                "UPDATE crm_association SET refused = true, sure = true,
                     made_target_id = CASE WHEN $3 THEN made_target_id END,
                     made_from = CASE WHEN $3 THEN made_from END,
                     made_to = CASE WHEN $3 THEN made_to END
                 WHERE record_id = $1 AND slot = $2 AND entry = $4 RETURNING set_by",
            );
            let row = row.bind(slot.record_id).bind(&slot.slot).bind(slot.drops).bind(slot.entry);
            Ok(vec![(row.fetch_one(db).await?, "failed", reason)])
        }
    }
}

/// Finds the ends of pairs that HubSpot created for other records than requested.
async fn ends(
    db: &mut PgConnection,
    portal: &str,
    verdicts: &[Verdict],
) -> Result<Vec<i64>, QueueError> {
    let moved: Vec<&OwedSlot> = verdicts
        .iter()
        .filter(|(_, verdict)| matches!(verdict, SlotVerdict::Elsewhere(_)))
        .map(|(slot, _)| slot)
        .collect();
    if moved.is_empty() {
        return Ok(Vec::new());
    }
    let owners: Vec<i64> = moved.iter().map(|slot| slot.record_id).collect();
    let kinds: Vec<Option<&str>> = moved.iter().map(|slot| slot.target_type.as_deref()).collect();
    let links: Vec<Option<&str>> = moved.iter().map(|slot| slot.to_id.as_deref()).collect();
    // Found by the link, because the target may be an alias.
    let far = sqlx::query_scalar(
        "SELECT r.id FROM UNNEST($2::text[], $3::text[]) AS t (sync_type, link)
         JOIN crm_record r ON r.portal = $1 AND r.sync_type = t.sync_type AND r.hubspot_id = t.link",
    )
    .bind(portal)
    .bind(kinds)
    .bind(links)
    .fetch_all(db)
    .await?;
    Ok([owners, far].concat())
}

/// The rows of a record that wait for its associations, with their retry counts.
async fn written_rows(db: &mut PgConnection, record: i64) -> Result<Vec<(i64, i32)>, QueueError> {
    let rows = sqlx::query_as(
        "SELECT id, retry_count FROM sync_queue
         WHERE record_id = $1 AND status IN ('pending', 'retry') AND written",
    );
    Ok(rows.bind(record).fetch_all(db).await?)
}

fn retried<'a>(rows: &[(i64, i32)], max_retries: i32, reason: &'a Reason) -> Vec<Refusal<'a>> {
    let status = |count: i32| if count < max_retries { "retry" } else { "failed" };
    rows.iter().map(|&(row, count)| (row, status(count), reason)).collect()
}

async fn release(
    db: &mut PgConnection,
    held: &[i64],
    backoff: impl Fn(i64) -> Backoff,
) -> Result<(), QueueError> {
    let (mut counts, mut until) = (Vec::new(), Vec::new());
    for &id in held {
        let (count, instant) = backoff(id).noted();
        counts.push(count);
        until.push(instant);
    }
    sqlx::query(
        "UPDATE crm_record r
         SET lease_token = NULL, lease_until = NULL, lease_holder = NULL, leased_at = NULL,
             failures = CASE s.failed WHEN 0 THEN 0 WHEN 1 THEN r.failures + 1 ELSE r.failures END,
             backoff_until = CASE WHEN s.failed = 0 THEN NULL ELSE COALESCE(s.until, r.backoff_until) END
         FROM UNNEST($1::bigint[], $2::int[], $3::timestamptz[]) AS s (id, failed, until)
         WHERE r.id = s.id",
    )
    .bind(held)
    .bind(counts)
    .bind(until)
    .execute(db)
    .await?;
    Ok(())
}
