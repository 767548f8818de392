//! Associations: selects the pairs that are owed to HubSpot, and stores the results.
//!
//! A pair is stored as intended before its call is sent. Otherwise a lost reply could leave a pair
//! in HubSpot that is never removed when the slot's target changes.

mod settle;

use crate::queue::model::{Lease, Reason};
use crate::queue::{Queue, QueueError};

/// A slot of a leased record that owes a call.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct OwedSlot {
    /// The record that has the slot.
    pub record_id: i64,
    /// The slot's name.
    pub slot: String,
    /// The entry, in a slot with many targets. 0 in a slot with one.
    pub entry: i64,
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
    /// The owner's link in the old pair.
    pub made_from: Option<String>,
    /// The target's link in the old pair.
    pub made_to: Option<String>,
    /// Whether the old pair must be removed first.
    pub drops: bool,
    /// Whether another slot has the same old pair, so that the pair stays in HubSpot.
    pub shared: bool,
    /// Whether this pair was tried before, without a verdict.
    pub again: bool,
    /// Whether the other end is in doubt, so that its next write may change its link.
    pub settling: bool,
    /// The owner's transient failures in a row.
    pub failures: i32,
}

/// The result of a call for one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotVerdict {
    /// HubSpot has the pair.
    Made,
    /// The old pair was removed.
    Dropped,
    /// HubSpot refuses the pair, so its row fails.
    Refused(Reason),
    /// The failure is counted, and the pair is retried.
    Retry(Reason),
    /// HubSpot's reply does not mention the pair. The failure is counted and the pair is retried,
    /// up to the limit.
    Unanswered(Reason),
    /// The same, and an end was merged into another record. Both ends are written again, to find
    /// its link.
    Elsewhere(Reason),
    /// There was no verdict and no attempt.
    Untried,
}

/// The result of an association call.
#[derive(Debug, Clone, Copy)]
pub struct SlotSettlement<'a> {
    /// The leased records, even if none of their slots was in the call.
    pub records: &'a [i64],
    /// The slots' verdicts.
    pub verdicts: &'a [(OwedSlot, SlotVerdict)],
    /// A row fails after this many retries.
    pub max_retries: i32,
    /// The call that the verdicts come from.
    pub call: Option<i64>,
}

impl Queue {
    /// Returns the slots of `records` that owe a call.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn owed_slots(&self, records: &[i64]) -> Result<Vec<OwedSlot>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT o.record_id, o.slot, o.entry, o.from_id, o.target_id, o.target_type, o.to_id,
                    o.made_target_type, o.made_from, o.made_to, o.drops,
                    o.drops AND EXISTS (
                        SELECT 1 FROM crm_association x JOIN crm_record owner ON owner.id = x.record_id
                        WHERE x.made_from = o.made_from AND x.made_to = o.made_to
                          AND x.slot = o.slot AND owner.sync_type = o.sync_type
                          AND x.made_target_id IS NOT DISTINCT FROM x.target_id
                          AND (x.record_id, x.entry) <> (o.record_id, o.entry)) AS shared,
                    o.again, o.settling, o.failures
             FROM association_owed o WHERE o.record_id = ANY($1) ORDER BY o.record_id, o.slot,
                    o.entry",
        )
        .bind(records)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Stores that the pairs of `slots` are about to be created. Returns `false` if the lease is
    /// lost; then nothing may be sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn intend(&self, lease: &Lease, slots: &[&OwedSlot]) -> Result<bool, QueueError> {
        let (owners, names): (Vec<i64>, Vec<&str>) =
            slots.iter().map(|s| (s.record_id, s.slot.as_str())).unzip();
        let entries: Vec<i64> = slots.iter().map(|s| s.entry).collect();
        let targets: Vec<Option<i64>> = slots.iter().map(|s| s.target_id).collect();
        let from: Vec<Option<&str>> = slots.iter().map(|s| s.from_id.as_deref()).collect();
        let to: Vec<Option<&str>> = slots.iter().map(|s| s.to_id.as_deref()).collect();
        // Records are locked before slots, in the order of their ids. Without the lock, a
        // concurrent merge could move a pair, and this statement would overwrite it although the
        // lease is lost.
        let noted = sqlx::query(
            "WITH held AS MATERIALIZED (
                 SELECT id FROM crm_record WHERE id = ANY($2) AND lease_token = $1
                 ORDER BY id FOR NO KEY UPDATE)
             UPDATE crm_association a
             SET made_target_id = s.target_id, made_from = s.from_id, made_to = s.to_id, sure = false
             FROM UNNEST($2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
                  AS s (record_id, slot, target_id, from_id, to_id, entry),
                  held
             WHERE a.record_id = s.record_id AND a.slot = s.slot AND a.entry = s.entry
               AND held.id = a.record_id",
        )
        .bind(lease.token)
        .bind(owners)
        .bind(names)
        .bind(targets)
        .bind(from)
        .bind(to)
        .bind(entries)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(noted == slots.len() as u64)
    }
}
