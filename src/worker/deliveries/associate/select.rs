//! Selects the pairs of one call.

use std::collections::{BTreeMap, HashMap};

use crate::hubspot::associate;
use crate::mapping::{ObjectKind, Slot};
use crate::queue::delivery::slots::{OwedSlot, SlotVerdict};
use crate::queue::model::{Reason, Record};
use crate::worker::deliveries::associate::{Associate, Group, How, Slots};
use crate::worker::deliveries::delivery::{Context, Selection};
use crate::worker::work::StepError;

pub(super) async fn select(
    cx: &Context<'_>,
    records: &[Record],
) -> Result<Selection<Associate>, StepError> {
    let failures = records.iter().map(|r| (r.id, r.failures)).collect();
    let records: Vec<i64> = records.iter().map(|r| r.id).collect();
    let owed = cx.worker.portal.queue.owed_slots(&records).await?;
    let (shared, owed): (Vec<_>, Vec<_>) = owed.into_iter().partition(|s| s.drops && s.shared);
    let mut verdicts: Vec<(OwedSlot, SlotVerdict)> =
        shared.into_iter().map(|slot| (slot, SlotVerdict::Dropped)).collect();
    let mut groups: BTreeMap<Group, Vec<OwedSlot>> = BTreeMap::new();
    for slot in owed {
        match group(cx.object, &slot) {
            Some(group) => groups.entry(group).or_default().push(slot),
            None => verdicts.push((slot, SlotVerdict::Refused(undeclared()))),
        }
    }
    let settled = Slots { records, verdicts, backoffs: HashMap::new() };
    // The first group that removes pairs, otherwise the largest group that creates pairs.
    let next = groups
        .into_iter()
        .min_by_key(|(group, slots)| (group.makes, std::cmp::Reverse(slots.len())));
    Ok(match next {
        None => {
            let group = Group { makes: true, target: String::new(), type_id: 0 };
            let how = How { group, failures, settled: Slots::default() };
            Selection { how, items: Vec::new(), settled }
        }
        Some((group, mut items)) => {
            items.truncate(associate::LARGEST);
            Selection { how: How { group, failures, settled }, items, settled: Slots::default() }
        }
    })
}

fn group(object: &ObjectKind, slot: &OwedSlot) -> Option<Group> {
    let declared: &Slot = object.slots.iter().find(|s| s.name == slot.slot)?;
    let target = if slot.drops { slot.made_target_type.clone() } else { slot.target_type.clone() };
    Some(Group { makes: !slot.drops, target: target?, type_id: declared.type_id })
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
