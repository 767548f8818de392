//! Creates and removes associations. Each step makes one call, for the largest group of pairs that
//! fit into one call.
//!
//! Old pairs are removed before new ones are created. The rest of the lease is released and is due
//! again.

use std::collections::{BTreeMap, HashMap};

use rand::Rng as _;

use crate::engine::verdict::reason;
use crate::hubspot::associate::{self, Pair, Verdict};
use crate::hubspot::{Blame, Class};
use crate::mapping::{ObjectKind, Slot};
use crate::queue::delivery::settle::Backoff;
use crate::queue::delivery::slots::{OwedSlot, SlotSettlement, SlotVerdict};
use crate::queue::model::Reason;
use crate::worker::Worker;
use crate::worker::deliveries::write::{Held, unanswered};
use crate::worker::step::{Delivered, StepError, Work};

/// The pairs that one call can contain: all have the same object types and association types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    /// False sorts first, so groups that remove pairs are sent first.
    makes: bool,
    target: String,
    type_id: u32,
}

impl Worker {
    pub(in crate::worker) async fn associate(
        &self,
        work: Work<'_>,
    ) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let records: Vec<i64> = batch.records.iter().map(|r| r.id).collect();
        let failures: HashMap<i64, i32> =
            batch.records.iter().map(|r| (r.id, r.failures)).collect();
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let owed = self.queue.owed_slots(&records).await?;
        let (shared, owed): (Vec<_>, Vec<_>) = owed.into_iter().partition(|s| s.drops && s.shared);
        let mut verdicts: Vec<(OwedSlot, SlotVerdict)> =
            shared.into_iter().map(|slot| (slot, SlotVerdict::Dropped)).collect();

        let mut groups: BTreeMap<Group, Vec<OwedSlot>> = BTreeMap::new();
        for slot in owed {
            match group(object, &slot) {
                Some(group) => groups.entry(group).or_default().push(slot),
                None => verdicts.push((slot, SlotVerdict::Refused(undeclared()))),
            }
        }
        // The first group that removes pairs, otherwise the largest group that creates pairs.
        let next = groups
            .into_iter()
            .min_by_key(|(group, slots)| (group.makes, std::cmp::Reverse(slots.len())));
        let Some((group, mut slots)) = next else {
            self.end(&held, &records, &verdicts, &HashMap::new(), None).await?;
            return Ok(Delivered::without_call(permit));
        };
        slots.truncate(associate::LARGEST);
        let ready = held.lasts(&permit);
        let noted = ready
            && (!group.makes
                || self.queue.intend(&held.lease, &slots.iter().collect::<Vec<_>>()).await?);
        if !noted {
            self.end(&held, &records, &verdicts, &HashMap::new(), None).await?;
            return Ok(Delivered::without_call(permit));
        }
        let pairs = pairs(&group, &slots);
        let mut call = self.association_call(object, &group, &pairs);
        call.sync_type = Some(object.sync_type.clone());
        let (number, answer) = self.permits.call(permit, call).await;
        let transient = answer.failed();
        let now = self.now().await?;
        let mut closed = false;
        let mut backoffs: HashMap<i64, Backoff> = HashMap::new();
        let answers = match answer.result {
            Ok(body) if group.makes => associate::verdicts(&pairs, &body),
            Ok(body) => associate::dropped(&pairs, &body),
            // It is not known which pair caused the refusal. Smaller calls find out.
            Err(failure) if pairs.len() > 1 && failure.blames_inputs() => {
                backoffs.extend(slots.iter().map(|slot| (slot.record_id, Backoff::Smaller)));
                Vec::new()
            }
            Err(failure) => {
                closed = self.close_for(&object.sync_type, &failure, now).await?;
                vec![Verdict::Refused(failure); slots.len()]
            }
        };
        let rest = Backoff::Pause(now + self.settings.breaker.rest);
        for (slot, answer) in slots.into_iter().zip(answers) {
            let verdict = match judge(&group, answer) {
                // The other end still has a write to send, so this is not a failure.
                SlotVerdict::Elsewhere(_) if slot.settling => SlotVerdict::Untried,
                verdict => verdict,
            };
            let backoff = match &verdict {
                // Another record makes the next probe. The failure of this one is not counted.
                SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_) | SlotVerdict::Untried
                    if probing =>
                {
                    rest
                }
                // The next writes of both ends show what was merged. They need not wait.
                SlotVerdict::Elsewhere(_) if !slot.again => Backoff::Smaller,
                SlotVerdict::Untried if slot.settling => {
                    Backoff::Pause(now + self.settings.retry.delay(0, rand::rng().random()))
                }
                SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_) | SlotVerdict::Elsewhere(_) => {
                    let failures = failures.get(&slot.record_id).copied().unwrap_or(0);
                    Backoff::Until(now + self.settings.retry.delay(failures, rand::rng().random()))
                }
                SlotVerdict::Untried => Backoff::AsBefore,
                SlotVerdict::Made | SlotVerdict::Dropped | SlotVerdict::Refused(_) => {
                    Backoff::Reset
                }
            };
            backoffs.insert(slot.record_id, backoff);
            let no_fault = matches!(verdict, SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_));
            let verdict = if probing && no_fault { SlotVerdict::Untried } else { verdict };
            verdicts.push((slot, verdict));
        }
        self.end(&held, &records, &verdicts, &backoffs, Some(number)).await?;
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
        backoffs: &HashMap<i64, Backoff>,
        call: Option<i64>,
    ) -> Result<(), StepError> {
        let now = self.now().await?;
        let backoff = |record: i64| backoffs.get(&record).copied().unwrap_or(Backoff::AsBefore);
        let max_retries = self.settings.retry.max_retries;
        let settlement = SlotSettlement { records, verdicts, max_retries, call };
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
                // The record may have been merged since. Its pair moved with it.
                (slot.from_id.as_ref().map_or(&slot.made_from, |_| &slot.from_id), &slot.made_to)
            };
            Pair { from: from.clone().unwrap_or_default(), to: to.clone().unwrap_or_default() }
        })
        .collect()
}

fn judge(group: &Group, answer: Verdict) -> SlotVerdict {
    let failure = match answer {
        Verdict::Done if group.makes => return SlotVerdict::Made,
        Verdict::Done => return SlotVerdict::Dropped,
        Verdict::Unanswered => {
            return SlotVerdict::Unanswered(reason(&unanswered(), &BTreeMap::new()));
        }
        Verdict::Elsewhere => {
            return SlotVerdict::Elsewhere(reason(&unanswered(), &BTreeMap::new()));
        }
        Verdict::Refused(failure) => failure,
    };
    let reason = reason(&failure, &BTreeMap::new());
    match failure.class.blame() {
        Blame::Transient => SlotVerdict::Retry(reason),
        Blame::Throttled | Blame::Misconfigured => SlotVerdict::Untried,
        // A pair that does not exist need not be removed.
        Blame::Rejected if !group.makes && failure.class == Class::NotFound => SlotVerdict::Dropped,
        Blame::Rejected => SlotVerdict::Refused(reason),
    }
}

fn undeclared() -> Reason {
    Reason {
        class: "rejected",
        code: "SLOT_NOT_DECLARED".into(),
        property: None,
        message: "objects.toml does not declare this association any more".into(),
        hint: Some("restore its slot and retry, or discard the row".into()),
        correlation_id: None,
        http_status: None,
    }
}
