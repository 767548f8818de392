//! Decides what a HubSpot record that was looked up means for our record. Pure.

use crate::engine::plan::{Need, Planned};
use crate::engine::verdict::{self, Terms};
use crate::hubspot::batch::Written;
use crate::hubspot::{Class, Failure};
use crate::mapping::ObjectKind;
use crate::queue::delivery::settlement::{Adoption, Certainty, Link, LookupChange, Settlement};
use crate::queue::model::Lookup;

/// Whether `found` is what the record's own HubSpot record became when people merged it. HubSpot
/// may no longer know the old id, and the record may have lost its link because of that.
pub(super) fn became(planned: &Planned, found: &Written) -> bool {
    let links = [&planned.record.hubspot_id, &planned.record.lost_link];
    links.into_iter().flatten().any(|link| found.merged().any(|id| id == link))
}

/// Settles a merge that a conflict revealed. Records that are linked to the merged HubSpot record,
/// or to another one that was merged into it, become one with this record.
pub(super) fn merged_into(planned: &Planned, found: &Written) -> Settlement {
    let mut settlement = verdict::base(planned);
    settlement.lookup = LookupChange::Clear;
    settlement.link = Link::Moved(found.id.clone());
    settlement.absorbs = found.merged().map(str::to_owned).collect();
    settlement.certainty = Certainty::Doubtful;
    settlement
}

/// The row that causes an adoption: the row that supplied the address, otherwise the newest row.
fn adopter(planned: &Planned, object: &ObjectKind) -> i64 {
    let email = object.email_property.as_ref().and_then(|e| planned.folded.properties.get(e));
    let newest = || planned.folded.properties.values().map(|register| register.stamp).max();
    email.map(|register| register.stamp).or_else(newest).map_or(0, |stamp| stamp.row)
}

/// Settles a record that was looked up by its key: it cannot be created yet, or a lost call may
/// have created it. If HubSpot has it, it is sent as an update. Otherwise it waits, or the record
/// that it conflicts with is looked up next. If another record is linked to the HubSpot record that
/// has its key, people merged the two.
pub(super) fn by_key(planned: &Planned, found: Option<&Written>) -> Settlement {
    let mut settlement = verdict::base(planned);
    match found {
        Some(found) => {
            settlement.lookup = LookupChange::Clear;
            settlement.link = Link::Moved(found.id.clone());
        }
        None if matches!(planned.need, Need::Write(_)) => {
            let named = planned.record.lookup.as_ref().and_then(Lookup::id);
            let next = Lookup::of_conflict(named.map(str::to_owned));
            settlement.lookup = LookupChange::Set(next);
        }
        None => settlement.lookup = LookupChange::Set(Lookup::KeyNotFound),
    }
    settlement
}

/// Whether the record is linked to a HubSpot record other than this one.
pub(super) fn elsewhere(planned: &Planned, found: &Written) -> bool {
    planned.record.hubspot_id.as_ref().is_some_and(|link| *link != found.id)
}

/// A HubSpot record with this record's key belongs to it, and only one record can have the key. A
/// lost call had created it before the address led to another HubSpot record, which its owner
/// keeps.
pub(super) fn made_before(planned: &Planned, found: &Written) -> Settlement {
    let mut settlement = by_key(planned, Some(found));
    settlement.certainty = Certainty::Doubtful;
    settlement.adoption = Adoption::End;
    settlement
}

/// Settles a record that was looked up by an id or by its address.
pub(super) fn conflict(
    planned: &Planned,
    found: Option<&Written>,
    other: Option<String>,
    blamed: Option<&String>,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = verdict::base(planned);
    if found.is_none() && planned.record.lookup == Some(Lookup::EmailFirst) {
        settlement.lookup = LookupChange::Set(Lookup::NotFound);
        return settlement;
    }
    let link = planned.record.hubspot_id.as_ref();
    if link.is_some() && (blamed.is_none() || found.is_none_or(|w| Some(&w.id) == link)) {
        // The address has changed since, or no HubSpot record shows it. The record is sent once
        // more, and is not looked up again.
        settlement.lookup = LookupChange::Set(Lookup::NotFound);
        return settlement;
    }
    settlement.lookup = LookupChange::Clear;
    let message = match (found, other) {
        (Some(found), None) if link.is_some() => {
            format!("HubSpot record {} holds the same unique value", found.id)
        }
        (Some(found), None) => {
            // In doubt but linked: all owned properties are sent to it, the key first.
            settlement.link = Link::Adopt(found.id.clone());
            // If the HubSpot record already has this key, it was linked before the link was lost.
            let ours = found.properties.get(&terms.object.key).is_some_and(|key| !key.is_empty());
            if !ours {
                settlement.adoption = Adoption::Begin(adopter(planned, terms.object));
            }
            settlement.certainty = Certainty::Doubtful;
            return settlement;
        }
        (Some(found), Some(other)) => format!(
            "HubSpot record {} holds the same unique value and is linked to `{other}`",
            found.id
        ),
        (None, _) => match planned.record.lookup.as_ref().and_then(Lookup::id) {
            Some(id) => {
                format!("HubSpot record {id} holds the value, but is archived or out of reach")
            }
            None => {
                "HubSpot says that the value is taken, and shows no record that holds it".into()
            }
        },
    };
    let mut failure = Failure::lost("CONFLICT", message, false);
    failure.class = Class::Conflict;
    failure.property = blamed.cloned();
    failure.existing_id = found.map(|w| w.id.clone());
    failure.hint = Some(match found {
        Some(_) => {
            "correct the value of one of the two in the application, or merge the two in HubSpot"
                .into()
        }
        None => "restore that record from HubSpot's recycle bin or delete it for good, then retry"
            .into(),
    });
    let reason = verdict::reason(&failure, &Default::default());
    verdict::rejected(&mut settlement, planned, &failure, reason, terms);
    settlement
}
