//! Decides what happens to a record that HubSpot refused or did not answer. The cause decides: the
//! row, the record, or HubSpot itself.

use std::collections::BTreeMap;

use chrono::TimeDelta;

use super::{Terms, base};
use crate::engine::plan::Planned;
use crate::hubspot::{Blame, Class, Failure};
use crate::mapping::{ObjectKind, OnMissing};
use crate::queue::delivery::settlement::{
    Backoff, Certainty, Link, LookupChange, RowVerdict, Settlement,
};
use crate::queue::model::{Lookup, Reason};

/// Settles a record that HubSpot refused or did not answer.
pub(crate) fn failed(
    planned: &Planned,
    sent: &BTreeMap<String, String>,
    failure: &Failure,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = base(planned);
    let mut failure = failure.clone();
    // HubSpot does not name the property whose value is taken. Of the mapped properties it can only
    // be the e-mail address.
    if failure.class == Class::Conflict && failure.property.is_none() {
        failure.property =
            terms.object.email_property.clone().filter(|name| sent.contains_key(name));
    }
    let failure = &failure;
    let reason = reason(failure, sent);
    match failure.class.blame() {
        Blame::Transient => transient(&mut settlement, planned, failure, &reason, terms),
        Blame::Throttled => {}
        Blame::Misconfigured => rest_after_probe(&mut settlement, terms),
        Blame::Rejected if failure.code == "PROPERTY_DOESNT_EXIST" => {
            rest_after_probe(&mut settlement, terms);
        }
        Blame::Rejected
            if failure.class == Class::NotFound && planned.record.hubspot_id.is_some() =>
        {
            vanished(&mut settlement, planned, reason, terms);
        }
        Blame::Rejected if perhaps_made(planned, failure, terms.object) => {
            let lookup = Lookup::Key(failure.existing_id.clone());
            settlement.lookup = LookupChange::Set(lookup);
        }
        Blame::Rejected if resolvable(planned, failure) => {
            let lookup = Lookup::of_conflict(failure.existing_id.clone());
            settlement.lookup = LookupChange::Set(lookup);
        }
        Blame::Rejected => {
            if planned.record.hubspot_id.is_some() && planned.record.lookup.is_some() {
                settlement.lookup = LookupChange::Clear;
            }
            rejected(&mut settlement, planned, failure, reason, terms);
        }
    }
    settlement
}

/// Delays this record so that another record makes the next probe. Otherwise one bad record could
/// block its kind forever.
fn rest_after_probe(settlement: &mut Settlement, terms: Terms<'_>) {
    if terms.probe.is_some() {
        settlement.backoff = Backoff::Pause(terms.now + TimeDelta::seconds(60));
    }
}

/// Whether a lost call may have created the record. Then it is looked up by its key first, because
/// its e-mail address could lead to another record.
fn perhaps_made(planned: &Planned, failure: &Failure, object: &ObjectKind) -> bool {
    let unseen = planned.record.hubspot_id.is_none() && planned.record.doubt != 0;
    unseen && object.email_property.is_some() && resolvable(planned, failure)
}

/// Whether the conflicting record can be read. It is adopted if no other record is linked to it;
/// otherwise the error names its owner. The conflict of a linked record is read at once.
fn resolvable(planned: &Planned, failure: &Failure) -> bool {
    let looked = planned.record.lookup.as_ref();
    let fresh = match planned.record.hubspot_id {
        None => matches!(looked, None | Some(Lookup::NotFound | Lookup::KeyNotFound)),
        Some(_) => looked != Some(&Lookup::NotFound),
    };
    failure.class == Class::Conflict
        && fresh
        && (failure.existing_id.is_some() || failure.property.is_some())
}

fn transient(
    settlement: &mut Settlement,
    planned: &Planned,
    failure: &Failure,
    reason: &Reason,
    terms: Terms<'_>,
) {
    if failure.ambiguous {
        settlement.certainty = Certainty::Doubtful;
    }
    if let Some(rest) = terms.probe {
        settlement.backoff = Backoff::Pause(terms.now + rest);
        return;
    }
    settlement.backoff =
        Backoff::Until(terms.now + terms.retry.delay(planned.record.failures, terms.dice));
    settlement.rows.extend(counted(planned, reason, terms));
}

/// A counted failure of every row: each is retried until it reaches the limit. Rows that are only
/// sent along with others have already failed.
fn counted(planned: &Planned, reason: &Reason, terms: Terms<'_>) -> Vec<(i64, RowVerdict)> {
    let mapped: Vec<i64> = planned.rows.iter().map(|row| row.stamp.row).collect();
    let rows = planned.record.rows.iter().filter(|row| !row.along && mapped.contains(&row.id));
    rows.map(|row| {
        let verdict = if row.retry_count < terms.retry.max_retries {
            RowVerdict::Retry(reason.clone())
        } else {
            RowVerdict::Failed(reason.clone())
        };
        (row.id, verdict)
    })
    .collect()
}

/// Settles a linked record that no longer exists in HubSpot.
fn vanished(settlement: &mut Settlement, planned: &Planned, reason: Reason, terms: Terms<'_>) {
    match terms.object.on_missing {
        OnMissing::Recreate => {
            // The record has no link and is in doubt, so it is created again with all owned
            // properties.
            settlement.link = Link::Drop;
            settlement.certainty = Certainty::Doubtful;
        }
        OnMissing::Stop => {
            settlement.certainty = Certainty::Certain;
            let failed = |row: i64| (row, RowVerdict::Failed(reason.clone()));
            settlement.rows.extend(planned.rows.iter().map(|row| failed(row.stamp.row)));
        }
    }
}

/// Settles a failure that the row itself causes. If the rejection names a property, only the row
/// that supplied it fails. The fold is then computed again over the other rows.
pub(crate) fn rejected(
    settlement: &mut Settlement,
    planned: &Planned,
    failure: &Failure,
    reason: Reason,
    terms: Terms<'_>,
) {
    if terms.retry.rejected {
        settlement.backoff =
            Backoff::Until(terms.now + terms.retry.delay(planned.record.failures, terms.dice));
    }
    // The verdict is definite: HubSpot stored nothing of this call. Doubt about an earlier call
    // remains.
    let supplier = failure.property.as_ref().and_then(|name| planned.folded.properties.get(name));
    let open = |row: i64| planned.rows.iter().any(|mapped| mapped.stamp.row == row);
    match (supplier, &failure.property) {
        (Some(register), _) if open(register.stamp.row) => {
            settlement.rows.extend(refusals(planned, Some(register.stamp.row), &reason, terms));
        }
        (Some(_), Some(name)) => {
            // HubSpot no longer accepts a value that it accepted from an earlier row. Stop sending
            // that value.
            let mut accepted = planned.record.accepted.clone();
            accepted.remove(name);
            settlement.accepted = Some(accepted);
        }
        _ => {
            settlement.rows.extend(refusals(planned, None, &reason, terms));
            if planned.rows.is_empty() {
                settlement.certainty = Certainty::Certain;
            }
        }
    }
}

/// The verdicts of rejected rows: all rows, or the named one. They fail at once, or count as
/// transient failures if the settings say so.
fn refusals(
    planned: &Planned,
    only: Option<i64>,
    reason: &Reason,
    terms: Terms<'_>,
) -> Vec<(i64, RowVerdict)> {
    let mapped: Vec<i64> = planned.rows.iter().map(|row| row.stamp.row).collect();
    let mut verdicts = Vec::new();
    if terms.retry.rejected {
        verdicts.extend(counted(planned, reason, terms));
    }
    // Rows that are only sent along with others are not retried.
    let rows = planned.record.rows.iter().filter(|row| mapped.contains(&row.id));
    let last = rows.filter(|row| row.along || !terms.retry.rejected);
    verdicts.extend(last.map(|row| (row.id, RowVerdict::Failed(reason.clone()))));
    verdicts.retain(|(row, _)| only.is_none_or(|only| *row == only));
    verdicts
}

/// Describes a failure for people, without the values that were sent.
pub(crate) fn reason(failure: &Failure, sent: &BTreeMap<String, String>) -> Reason {
    let mut message =
        crate::hubspot::redact::redact(&failure.message, sent.values().map(String::as_str));
    if let Some(id) = failure.existing_id.as_ref().filter(|id| !message.contains(id.as_str())) {
        message.push_str(&format!(" (existing record: {id})"));
    }
    Reason {
        class: failure.class.blame().as_str(),
        code: failure.code.clone(),
        property: failure.property.clone(),
        message,
        hint: failure.hint.clone(),
        correlation_id: failure.correlation_id.clone(),
        http_status: failure.http_status.map(i32::from),
    }
}
