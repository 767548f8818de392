//! Making and dropping associations: one call a step, for the largest group of pairs of a kind.
//!
//! Old pairs go before new ones are made. What is left of a lease goes back and is due again.

use std::collections::{BTreeMap, HashSet};

use rand::Rng as _;

use super::Worker;
use super::deliver::{Held, unanswered};
use super::step::{Delivered, StepError, Work};
use super::verdict::reason;
use crate::hubspot::associate::{self, Pair, Verdict};
use crate::hubspot::{Blame, Failure};
use crate::mapping::{ObjectKind, Slot};
use crate::queue::settle::Backoff;
use crate::queue::slots::{OwedSlot, SlotSettlement, SlotVerdict};

/// The pairs that one call can carry: the same two object types and the same association types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// Drops first.
    makes: bool,
    target: String,
    type_id: u32,
}

impl Worker {
    pub(super) async fn associate(&self, work: Work<'_>) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let records: Vec<i64> = batch.records.iter().map(|r| r.id).collect();
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let owed = self.queue.owed_slots(&records).await?;
        let (shared, owed): (Vec<_>, Vec<_>) = owed.into_iter().partition(|s| s.drops && s.shared);
        let mut verdicts: Vec<(OwedSlot, SlotVerdict)> =
            shared.into_iter().map(|slot| (slot, SlotVerdict::Dropped)).collect();

        let mut groups: BTreeMap<Group, Vec<OwedSlot>> = BTreeMap::new();
        for slot in owed {
            if let Some(group) = group(object, &slot) {
                groups.entry(group).or_default().push(slot);
            }
        }
        // The first that drops, else the largest that makes.
        let next = groups
            .into_iter()
            .min_by_key(|(group, slots)| (group.makes, std::cmp::Reverse(slots.len())));
        let Some((group, mut slots)) = next else {
            self.end(&held, &records, &verdicts, &HashSet::new(), None).await?;
            return Ok(Delivered::without_call(permit));
        };
        slots.truncate(associate::LARGEST);
        let ready = held.lasts(self.client.timeout()) && permit.lasts(self.client.timeout());
        let noted = ready
            && (!group.makes
                || self.queue.intend(&held.lease, &slots.iter().collect::<Vec<_>>()).await?);
        if !noted {
            self.end(&held, &records, &verdicts, &HashSet::new(), None).await?;
            return Ok(Delivered::without_call(permit));
        }
        let pairs = pairs(&group, &slots);
        let mut call = self.association_call(object, &group, &pairs);
        call.sync_type = Some(object.sync_type.clone());
        let (number, answer) = self.permits.call(permit, call).await;
        let transient = answer.failed();
        let (closed, mut failed) = match answer.result {
            Ok(body) => {
                let answers = associate::verdicts(&pairs, &body);
                (false, collect(&group, slots, answers, &mut verdicts))
            }
            Err(failure) => {
                let now = self.now().await?;
                let closed = self.close_for(&object.sync_type, &failure, now).await?;
                let answers = vec![Verdict::Refused(failure); slots.len()];
                (closed, collect(&group, slots, answers, &mut verdicts))
            }
        };
        if probing && transient {
            // Another record probes next; this one's failure counts for nothing.
            verdicts.iter_mut().for_each(|(_, verdict)| *verdict = SlotVerdict::Untried);
            failed.clear();
        }
        self.end(&held, &records, &verdicts, &failed, Some(number)).await?;
        Ok(Delivered { permit: None, calls: 1, closed, transient })
    }

    fn association_call(
        &self,
        object: &ObjectKind,
        group: &Group,
        pairs: &[Pair],
    ) -> crate::hubspot::Call {
        let target =
            self.mapping.object(&group.target).map_or(group.target.as_str(), |o| &o.plural);
        let version = self.client.version();
        if group.makes {
            return associate::make(version, &object.plural, target, group.type_id, pairs);
        }
        let slot = object.slots.iter().find(|s| s.type_id == group.type_id);
        let types: Vec<u32> = std::iter::once(group.type_id)
            .chain(slot.into_iter().flat_map(|s| s.also_drop.clone()))
            .collect();
        associate::unmake(version, &object.plural, target, &types, pairs)
    }

    async fn end(
        &self,
        held: &Held,
        records: &[i64],
        verdicts: &[(OwedSlot, SlotVerdict)],
        failed: &HashSet<i64>,
        call: Option<i64>,
    ) -> Result<(), StepError> {
        let now = self.now().await?;
        let policy = &self.settings.retry;
        let dice: f64 = rand::rng().random();
        let done: HashSet<i64> = verdicts.iter().map(|(slot, _)| slot.record_id).collect();
        // The record's own step is unknown here; associations start with the first one.
        let later = Backoff::Until(now + policy.delay(0, dice));
        let backoff = |record: i64| match (failed.contains(&record), done.contains(&record)) {
            (true, _) => later,
            (false, true) if call.is_some() => Backoff::Reset,
            _ => Backoff::AsBefore,
        };
        let settlement =
            SlotSettlement { records, verdicts, max_retries: policy.max_retries, call };
        self.queue.settle_slots(&held.lease, &settlement, backoff, now).await?;
        Ok(())
    }
}

fn group(object: &ObjectKind, slot: &OwedSlot) -> Option<Group> {
    let declared: &Slot = object.slots.iter().find(|s| s.name == slot.slot)?;
    let target = if slot.drops { slot.made_target_type.clone() } else { slot.target_type.clone() };
    Some(Group { makes: !slot.drops, target: target?, type_id: declared.type_id })
}

fn pairs(group: &Group, slots: &[OwedSlot]) -> Vec<Pair> {
    slots
        .iter()
        .map(|slot| {
            let (from, to) = if group.makes {
                (&slot.from_id, &slot.to_id)
            } else {
                (&slot.made_from, &slot.made_to)
            };
            Pair { from: from.clone().unwrap_or_default(), to: to.clone().unwrap_or_default() }
        })
        .collect()
}

/// Turns HubSpot's answers into verdicts and names the records that are to wait for another try.
fn collect(
    group: &Group,
    slots: Vec<OwedSlot>,
    answers: Vec<Verdict>,
    verdicts: &mut Vec<(OwedSlot, SlotVerdict)>,
) -> HashSet<i64> {
    let mut failed = HashSet::new();
    for (slot, answer) in slots.into_iter().zip(answers) {
        let verdict = match answer {
            Verdict::Done if group.makes => SlotVerdict::Made,
            Verdict::Done => SlotVerdict::Dropped,
            Verdict::Refused(failure) => refused(group, &failure),
            Verdict::Unanswered => SlotVerdict::Retry(reason(&unanswered(), &BTreeMap::new())),
        };
        if matches!(verdict, SlotVerdict::Retry(_)) {
            failed.insert(slot.record_id);
        }
        verdicts.push((slot, verdict));
    }
    failed
}

fn refused(group: &Group, failure: &Failure) -> SlotVerdict {
    match failure.class.blame() {
        Blame::Transient => SlotVerdict::Retry(reason(failure, &BTreeMap::new())),
        Blame::Throttled | Blame::Misconfigured => SlotVerdict::Untried,
        // A pair that is not there need not be dropped.
        Blame::Rejected if !group.makes => SlotVerdict::Dropped,
        Blame::Rejected => SlotVerdict::Refused(reason(failure, &BTreeMap::new())),
    }
}
