//! From HubSpot's verdict on a record to its settlement. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::fold::{Folded, MappedRow, fold};
use super::plan::{Need, Planned};
use super::retry::RetryPolicy;
use crate::hubspot::batch::Written;
use crate::hubspot::{Blame, Class, Failure};
use crate::mapping::{ObjectKind, OnMissing, Warning};
use crate::queue::lease::ROWS_PER_RECORD;
use crate::queue::model::{Accepted, NOT_BY_KEY, NOTHING_THERE, Reason, Row};
use crate::queue::settle::{Backoff, Certainty, OwnPart, RowVerdict, Settlement, SlotWrite, Wait};

/// What a settlement depends on besides the verdict.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) object: &'a ObjectKind,
    pub(super) retry: &'a RetryPolicy,
    pub(super) now: DateTime<Utc>,
    pub(super) dice: f64,
    /// The record only sees whether a gate may open: after a failure it rests for so long, and
    /// nothing is counted.
    pub(super) probe: Option<TimeDelta>,
}

/// Nothing had to be sent: HubSpot holds all of it.
pub(super) fn unchanged(planned: &Planned, terms: Terms<'_>) -> Settlement {
    let mut settlement = base(planned);
    settlement.accepted = Some(planned.folded.properties.clone());
    settlement.slots = slots(&planned.folded, terms.object);
    settlement.own = own(planned, terms.object);
    settlement.rows.extend(written_rows(planned, BTreeMap::new()));
    settlement
}

/// The record cannot be created yet: it waits, and its rows fail once `wait` is over.
pub(super) fn missing(
    planned: &Planned,
    lacking: &[String],
    wait: TimeDelta,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = base(planned);
    let reason = format!("HubSpot cannot create it before {} has arrived", lacking.join(", "));
    // Every row has a deadline of its own; the record is looked at again at the next one.
    let open: Vec<&Row> = planned.record.rows.iter().filter(|row| !row.along).collect();
    let loaded = i64::try_from(open.len());
    let (over, waiting): (Vec<&Row>, Vec<&Row>) =
        open.into_iter().partition(|row| row.created_at + wait <= terms.now);
    if let Some(next) = waiting.iter().map(|row| row.created_at + wait).min() {
        // Where not all were loaded, what is missing may be among the rest: see the known limits.
        let loaded = match loaded {
            Ok(loaded) if loaded < ROWS_PER_RECORD => loaded,
            _ => i64::MAX,
        };
        settlement.wait = Some(Wait { until: next, reason: reason.clone(), loaded });
    }
    if over.is_empty() && waiting.is_empty() {
        // What is left of a record after a delete, and too little to create it from.
        settlement.certainty = Certainty::Certain;
        settlement.accepted = Some(Default::default());
        return settlement;
    }
    let reason = Reason {
        class: "rejected",
        code: "MISSING_ON_CREATE".into(),
        property: lacking.first().cloned(),
        message: reason,
        hint: Some("send the event that creates the entity, then retry".into()),
        correlation_id: None,
        http_status: None,
    };
    let failed = |row: &&Row| (row.id, RowVerdict::Failed(reason.clone()));
    settlement.rows.extend(over.iter().map(failed));
    settlement
}

/// HubSpot has written it.
pub(super) fn written(
    planned: &Planned,
    sent: &BTreeMap<String, String>,
    shown: &Written,
    terms: Terms<'_>,
) -> Settlement {
    if let Need::Clear(property) = &planned.need {
        return cleared(planned, property);
    }
    let mut settlement = unchanged(planned, terms);
    settlement.certainty = Certainty::Certain;
    settlement.backoff = Backoff::Reset;
    settlement.resolve = planned.record.resolve.is_some().then_some(None);
    settlement.disowns = shown.new;
    if planned.record.hubspot_id.as_deref() != Some(shown.id.as_str()) {
        settlement.link = Some(Some(shown.id.clone()));
        settlement.relinks = planned.record.hubspot_id.is_some();
        // People merged it, and HubSpot took what values it liked: all of ours go once more.
        if settlement.relinks && planned.record.doubt == 0 {
            settlement.certainty = Certainty::Doubtful;
        }
    }
    settlement.rows = refused_rows(planned);
    settlement.rows.extend(written_rows(planned, warnings(planned, sent, shown)));
    settlement
}

/// HubSpot has cleared a property: the rows stay open, and what they say of it goes next.
fn cleared(planned: &Planned, property: &str) -> Settlement {
    let mut settlement = base(planned);
    let mut accepted = planned.record.accepted.clone();
    if let Some(register) = accepted.get_mut(property) {
        register.value = String::new();
    }
    settlement.accepted = Some(accepted);
    // A doubt about the other properties stays: they did not go with this call.
    let certain = planned.record.doubt == 0;
    settlement.certainty = if certain { Certainty::Certain } else { Certainty::Doubtful };
    settlement.backoff = Backoff::Reset;
    settlement
}

/// HubSpot has refused it, or there was no answer.
pub(super) fn failed(
    planned: &Planned,
    sent: &BTreeMap<String, String>,
    failure: &Failure,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = base(planned);
    let mut failure = failure.clone();
    // HubSpot does not say which value is taken; of ours only the address can be.
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
        Blame::Rejected if resolvable(planned, failure) => {
            settlement.resolve = Some(Some(failure.existing_id.clone().unwrap_or_default()));
        }
        Blame::Rejected => {
            if planned.record.hubspot_id.is_some() && planned.record.resolve.is_some() {
                settlement.resolve = Some(None);
            }
            rejected(&mut settlement, planned, failure, reason, terms);
        }
    }
    settlement
}

/// Another record probes next time, lest one of them hold its kind for good.
fn rest_after_probe(settlement: &mut Settlement, terms: Terms<'_>) {
    if terms.probe.is_some() {
        settlement.backoff = Backoff::Pause(terms.now + TimeDelta::seconds(60));
    }
}

/// Whether the record in conflict can be looked at: to adopt it if it is nobody else's, and to name
/// whose it is. That of a linked record is looked at once.
fn resolvable(planned: &Planned, failure: &Failure) -> bool {
    let looked = planned.record.resolve.as_deref();
    let fresh = match planned.record.hubspot_id {
        None => matches!(looked, None | Some(NOTHING_THERE | NOT_BY_KEY)),
        Some(_) => looked != Some(NOTHING_THERE),
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

/// A counted failure of every row: tried again until its count is full. What only goes along has failed
/// already.
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

/// A linked record is gone in HubSpot.
fn vanished(settlement: &mut Settlement, planned: &Planned, reason: Reason, terms: Terms<'_>) {
    match terms.object.on_missing {
        OnMissing::Recreate => {
            // Doubtful without a link: created again with all that we own.
            settlement.link = Some(None);
            settlement.certainty = Certainty::Doubtful;
        }
        OnMissing::Stop => {
            settlement.certainty = Certainty::Certain;
            let failed = |row: i64| (row, RowVerdict::Failed(reason.clone()));
            settlement.rows.extend(planned.rows.iter().map(|row| failed(row.stamp.row)));
        }
    }
}

/// The row's own fault. A rejection that names a property fails only the row which supplied it; the
/// fold is computed again over the others.
pub(super) fn rejected(
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
    // A definite verdict: nothing of this call stands in HubSpot. Whether an earlier one does is
    // as doubtful as before.
    let supplier = failure.property.as_ref().and_then(|name| planned.folded.properties.get(name));
    let open = |row: i64| planned.rows.iter().any(|mapped| mapped.stamp.row == row);
    match (supplier, &failure.property) {
        (Some(register), _) if open(register.stamp.row) => {
            settlement.rows.extend(refusals(planned, Some(register.stamp.row), &reason, terms));
        }
        (Some(_), Some(name)) => {
            // An accepted value of an earlier row that HubSpot takes no longer: not ours to insist.
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

/// The verdicts of rejected rows, all or the one named: failed at once, or counted like a transient
/// failure where the settings say so.
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
    // What only goes along is not tried again.
    let rows = planned.record.rows.iter().filter(|row| mapped.contains(&row.id));
    let last = rows.filter(|row| row.along || !terms.retry.rejected);
    verdicts.extend(last.map(|row| (row.id, RowVerdict::Failed(reason.clone()))));
    verdicts.retain(|(row, _)| only.is_none_or(|only| *row == only));
    verdicts
}

pub(super) fn base(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    settlement.rows = refused_rows(planned);
    settlement
}

fn refused_rows(planned: &Planned) -> Vec<(i64, RowVerdict)> {
    planned.refused.iter().map(|(row, reason)| (*row, RowVerdict::Failed(reason.clone()))).collect()
}

fn written_rows(
    planned: &Planned,
    mut more: BTreeMap<i64, Vec<Warning>>,
) -> Vec<(i64, RowVerdict)> {
    let rows = planned.rows.iter();
    rows.map(|row| {
        let mut warnings = row.warnings.clone();
        warnings.extend(planned.warnings.get(&row.stamp.row).into_iter().flatten().cloned());
        warnings.extend(more.remove(&row.stamp.row).unwrap_or_default());
        (row.stamp.row, RowVerdict::Written(warnings))
    })
    .collect()
}

/// What HubSpot altered or kept, by the row that supplied the value. No value is repeated.
fn warnings(
    planned: &Planned,
    sent: &BTreeMap<String, String>,
    shown: &Written,
) -> BTreeMap<i64, Vec<Warning>> {
    let mut warnings: BTreeMap<i64, Vec<Warning>> = BTreeMap::new();
    let mut add = |property: &str, code: &str, message: &str| {
        let Some(register) = planned.folded.properties.get(property) else { return };
        let (code, property) = (code.to_lowercase(), Some(property.to_owned()));
        let message = message.to_owned();
        warnings.entry(register.stamp.row).or_default().push(Warning { code, property, message });
    };
    let mut told: Vec<&str> = Vec::new();
    for (property, category) in &shown.warnings {
        if let Some(property) = property {
            add(property, category, "HubSpot altered the value");
            told.push(property);
        }
    }
    for (property, value) in sent {
        let kept = shown.properties.get(property);
        let same = |kept: &String| kept.eq_ignore_ascii_case(value);
        if !told.contains(&property.as_str()) && kept.is_some_and(|kept| !same(kept)) {
            add(property, "value_kept", "HubSpot shows another value than the one that was sent");
        }
    }
    warnings
}

/// What the rows of each subject bring, where several share the HubSpot record.
fn own(planned: &Planned, object: &ObjectKind) -> Vec<OwnPart> {
    if !planned.record.shared {
        return Vec::new();
    }
    let whose: BTreeMap<i64, i64> = (planned.record.rows.iter())
        .map(|row| (row.id, row.of_alias.unwrap_or(planned.record.id)))
        .collect();
    let mut parts: BTreeMap<i64, Vec<MappedRow>> = BTreeMap::new();
    for row in &planned.rows {
        if let Some(subject) = whose.get(&row.stamp.row) {
            parts.entry(*subject).or_default().push(row.clone());
        }
    }
    let part = |(record, rows): (i64, Vec<MappedRow>)| {
        let folded = fold(&Accepted::new(), None, &rows);
        let slots = slots(&folded, object);
        OwnPart { record, values: folded.properties, slots }
    };
    parts.into_iter().map(part).collect()
}

fn slots(folded: &Folded, object: &ObjectKind) -> Vec<SlotWrite> {
    let target =
        |slot: &str| object.slots.iter().find(|s| s.name == slot).map(|s| s.target.clone());
    folded
        .slots
        .iter()
        .filter_map(|(slot, (external_id, stamp))| {
            let kind = target(slot)?;
            let target = external_id.clone().map(|id| (kind, id));
            Some(SlotWrite { slot: slot.clone(), target, stamp: *stamp })
        })
        .collect()
}

/// A failure as a person reads it, without the values that were sent.
pub(super) fn reason(failure: &Failure, sent: &BTreeMap<String, String>) -> Reason {
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
