//! The call that creates or removes pairs.

use crate::hubspot::Call;
use crate::hubspot::associate::{self, Pair};
use crate::queue::delivery::slots::OwedSlot;
use crate::worker::deliveries::associate::Group;
use crate::worker::deliveries::delivery::Context;

pub(super) fn call(cx: &Context<'_>, group: &Group, items: &[OwedSlot]) -> Call {
    let (mapping, object, version) =
        (&cx.worker.portal.mapping, cx.object, cx.worker.connection.client.version());
    let target = mapping.object(&group.target).map_or(group.target.as_str(), |o| &o.plural);
    let pairs = pairs(group, items);
    if group.makes {
        return associate::make(version, &object.plural, target, group.type_id, &pairs);
    }
    let slot = object.slots.iter().find(|s| s.type_id == group.type_id);
    let types: Vec<u32> = std::iter::once(group.type_id)
        .chain(slot.into_iter().flat_map(|s| s.also_drop.clone()))
        .collect();
    associate::unmake(version, &object.plural, target, &types, &pairs)
}

/// The pairs of the call.
pub(super) fn pairs(group: &Group, slots: &[OwedSlot]) -> Vec<Pair> {
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
