//! Associations: which pairs are owed to HubSpot, and what became of them.
//!
//! A pair that is about to be made is noted before its call leaves, so that a lost reply can never
//! leave a pair in HubSpot that nobody drops when the slot's target changes.

use chrono::{DateTime, Utc};

use super::model::{Lease, Reason};
use super::notify::notify;
use super::refresh::{lock, refresh};
use super::settle::{Backoff, Settled, refuse_rows};
use super::{PORTAL, Queue, QueueError};

/// A slot of a leased record that owes a call.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OwedSlot {
    /// The owner.
    pub record_id: i64,
    /// The slot's name.
    pub slot: String,
    /// The owner's link.
    pub from_id: Option<String>,
    /// The other end.
    pub target_id: Option<i64>,
    /// The other end's object kind.
    pub target_type: Option<String>,
    /// The other end's link.
    pub to_id: Option<String>,
    /// The object kind of the end of the old pair.
    pub made_target_type: Option<String>,
    /// The old pair.
    pub made_from: Option<String>,
    /// The old pair.
    pub made_to: Option<String>,
    /// Whether the old pair goes first.
    pub drops: bool,
    /// Whether another slot holds the old pair, so that it stays in HubSpot.
    pub shared: bool,
    /// Whether this very pair was tried before, without a verdict.
    pub again: bool,
    /// Whether the other end is in doubt, so that its next write may show another link.
    pub settling: bool,
    /// The owner's transient failures in a row.
    pub failures: i32,
}

/// What became of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotVerdict {
    /// The pair stands in HubSpot.
    Made,
    /// The old pair is gone.
    Dropped,
    /// HubSpot will not have it: its row fails.
    Refused(Reason),
    /// Counted, and tried again.
    Retry(Reason),
    /// HubSpot's reply does not speak of the pair: counted, and tried again, but not for ever.
    Unanswered(Reason),
    /// The same, and an end was merged into another record: both are written, to learn of it.
    Elsewhere(Reason),
    /// No verdict and no attempt.
    Untried,
}

/// What an association call came to.
#[derive(Debug, Clone, Copy)]
pub struct SlotSettlement<'a> {
    /// The leased records, whether or not one of their slots was in the call.
    pub records: &'a [i64],
    /// The slots' verdicts.
    pub verdicts: &'a [(OwedSlot, SlotVerdict)],
    /// A row that was retried so often fails.
    pub max_retries: i32,
    /// The call that the verdicts come from.
    pub call: Option<i64>,
}

impl Queue {
    /// The slots of `records` that owe a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owed_slots(&self, records: &[i64]) -> Result<Vec<OwedSlot>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT o.record_id, o.slot, o.from_id, o.target_id, o.target_type, o.to_id,
                    o.made_target_type, o.made_from, o.made_to, o.drops,
                    o.drops AND EXISTS (
                        SELECT 1 FROM crm_association x JOIN crm_record owner ON owner.id = x.record_id
                        WHERE x.made_from = o.made_from AND x.made_to = o.made_to
                          AND x.slot = o.slot AND owner.sync_type = o.sync_type
                          AND x.made_target_id IS NOT DISTINCT FROM x.target_id
                          AND x.record_id <> o.record_id) AS shared,
                    o.again, o.settling, o.failures
             FROM association_owed o WHERE o.record_id = ANY($1) ORDER BY o.record_id, o.slot",
        )
        .bind(records)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Notes that the pairs of `slots` are about to be made. `false`: the lease is lost, and
    /// nothing may be sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn intend(&self, lease: &Lease, slots: &[&OwedSlot]) -> Result<bool, QueueError> {
        let (owners, names): (Vec<i64>, Vec<&str>) =
            slots.iter().map(|s| (s.record_id, s.slot.as_str())).unzip();
        let targets: Vec<Option<i64>> = slots.iter().map(|s| s.target_id).collect();
        let from: Vec<Option<&str>> = slots.iter().map(|s| s.from_id.as_deref()).collect();
        let to: Vec<Option<&str>> = slots.iter().map(|s| s.to_id.as_deref()).collect();
        let noted = sqlx::query(
            "UPDATE crm_association a
             SET made_target_id = s.target_id, made_from = s.from_id, made_to = s.to_id, sure = false
             FROM UNNEST($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[])
                  AS s (record_id, slot, target_id, from_id, to_id),
                  crm_record r
             WHERE a.record_id = s.record_id AND a.slot = s.slot
               AND r.id = a.record_id AND r.lease_token = $1",
        )
        .bind(lease.token)
        .bind(owners)
        .bind(names)
        .bind(targets)
        .bind(from)
        .bind(to)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(noted == slots.len() as u64)
    }

    /// Ends `lease` for the records of `settlement`, fenced, in one transaction.
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
        let moved = ends(&mut tx, verdicts).await?;
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
        for wanted in [SlotVerdict::Made, SlotVerdict::Dropped] {
            let (owners, names): (Vec<i64>, Vec<&str>) = verdicts
                .iter()
                .filter(|(slot, verdict)| *verdict == wanted && held.contains(&slot.record_id))
                .map(|(slot, _)| (slot.record_id, slot.slot.as_str()))
                .unzip();
            let statement = if wanted == SlotVerdict::Made {
                "UPDATE crm_association a SET sure = true
                 FROM UNNEST($1::bigint[], $2::text[]) AS s (record_id, slot)
                 WHERE a.record_id = s.record_id AND a.slot = s.slot"
            } else {
                "UPDATE crm_association a
                 SET made_target_id = NULL, made_from = NULL, made_to = NULL, sure = true
                 FROM UNNEST($1::bigint[], $2::text[]) AS s (record_id, slot)
                 WHERE a.record_id = s.record_id AND a.slot = s.slot"
            };
            sqlx::query(statement).bind(owners).bind(names).execute(&mut *tx).await?;
        }
        let mut refused: Vec<(i64, &str, &Reason)> = Vec::new();
        for (slot, verdict) in verdicts.iter().filter(|(s, _)| held.contains(&s.record_id)) {
            match verdict {
                SlotVerdict::Unanswered(reason) | SlotVerdict::Elsewhere(reason) => {
                    let rows = written_rows(&mut tx, slot.record_id).await?;
                    let lasting = match rows.as_slice() {
                        [] => slot.failures >= max_retries,
                        rows => rows.iter().all(|(_, count)| *count >= max_retries),
                    };
                    if slot.again && lasting {
                        let row: i64 = sqlx::query_scalar(
                            "UPDATE crm_association SET refused = true
                             WHERE record_id = $1 AND slot = $2 RETURNING set_by",
                        )
                        .bind(slot.record_id)
                        .bind(&slot.slot)
                        .fetch_one(&mut *tx)
                        .await?;
                        refused.push((row, "failed", reason));
                    }
                    refused.extend(retried(&rows, max_retries, reason));
                }
                SlotVerdict::Refused(reason) => {
                    // A pair that was not made is forgotten; one that was not dropped still stands.
                    let row: i64 = sqlx::query_scalar(
                        "UPDATE crm_association SET refused = true, sure = true,
                             made_target_id = CASE WHEN $3 THEN made_target_id END,
                             made_from = CASE WHEN $3 THEN made_from END,
                             made_to = CASE WHEN $3 THEN made_to END
                         WHERE record_id = $1 AND slot = $2 RETURNING set_by",
                    )
                    .bind(slot.record_id)
                    .bind(&slot.slot)
                    .bind(slot.drops)
                    .fetch_one(&mut *tx)
                    .await?;
                    refused.push((row, "failed", reason));
                }
                SlotVerdict::Retry(reason) => {
                    let rows = written_rows(&mut tx, slot.record_id).await?;
                    refused.extend(retried(&rows, max_retries, reason));
                }
                SlotVerdict::Made | SlotVerdict::Dropped | SlotVerdict::Untried => {}
            }
        }
        refuse_rows(&mut tx, &refused, call, now).await?;
        // A call of ours that came after the next holder's may have undone it: made once more.
        if call.is_some() {
            let late = verdicts.iter().filter(|(slot, _)| !held.contains(&slot.record_id));
            let (owners, names): (Vec<i64>, Vec<&str>) =
                late.map(|(slot, _)| (slot.record_id, slot.slot.as_str())).unzip();
            sqlx::query(
                "UPDATE crm_association a SET sure = false
                 FROM UNNEST($1::bigint[], $2::text[]) AS s (record_id, slot)
                 WHERE a.record_id = s.record_id AND a.slot = s.slot AND a.made_to IS NOT NULL",
            )
            .bind(owners)
            .bind(names)
            .execute(&mut *tx)
            .await?;
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
        self.lines.joined();
        Ok(Settled { records: held.len(), fenced: ids.len() - held.len(), again: true })
    }
}

/// The ends of pairs that HubSpot made of other records than were asked for.
async fn ends(
    db: &mut sqlx::PgConnection,
    verdicts: &[(OwedSlot, SlotVerdict)],
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
    // By the link: the target may be an alias.
    let far = sqlx::query_scalar(
        "SELECT r.id FROM UNNEST($2::text[], $3::text[]) AS t (sync_type, link)
         JOIN crm_record r ON r.portal = $1 AND r.sync_type = t.sync_type AND r.hubspot_id = t.link",
    )
    .bind(PORTAL)
    .bind(kinds)
    .bind(links)
    .fetch_all(db)
    .await?;
    Ok([owners, far].concat())
}

/// The rows of a record that wait for its associations, and how often they were retried.
async fn written_rows(
    db: &mut sqlx::PgConnection,
    record: i64,
) -> Result<Vec<(i64, i32)>, QueueError> {
    let rows = sqlx::query_as(
        "SELECT id, retry_count FROM sync_queue
         WHERE record_id = $1 AND status IN ('pending', 'retry') AND written",
    );
    Ok(rows.bind(record).fetch_all(db).await?)
}

fn retried<'a>(
    rows: &[(i64, i32)],
    max_retries: i32,
    reason: &'a Reason,
) -> Vec<(i64, &'static str, &'a Reason)> {
    let status = |count: i32| if count < max_retries { "retry" } else { "failed" };
    rows.iter().map(|&(row, count)| (row, status(count), reason)).collect()
}

async fn release(
    db: &mut sqlx::PgConnection,
    held: &[i64],
    backoff: impl Fn(i64) -> Backoff,
) -> Result<(), QueueError> {
    let (mut counts, mut until) = (Vec::new(), Vec::new());
    for &id in held {
        let (count, instant) = match backoff(id) {
            Backoff::Reset => (Some(0), None),
            Backoff::Until(instant) => (Some(1), Some(instant)),
            Backoff::Pause(instant) => (None, Some(instant)),
            Backoff::Smaller => (Some(1), None),
            Backoff::AsBefore => (None, None),
        };
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
