//! Turns HubSpot's verdict on a record into a settlement, which the queue then stores. Pure.

mod deleted;
mod failed;

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::engine::fold::{Folded, MappedRow, fold};
use crate::engine::plan::{Need, Planned};
use crate::engine::retry::RetryPolicy;
use crate::hubspot::batch::Written;
use crate::mapping::{ObjectKind, Warning};
use crate::queue::delivery::lease::ROWS_PER_RECORD;
use crate::queue::delivery::settlement::{
    Adoption, Backoff, Certainty, Link, LookupChange, OwnPart, RowVerdict, Settlement, SlotWrite,
    Wait,
};
use crate::queue::model::{Accepted, Reason, Row};
pub(crate) use deleted::{deleted, gone, passed_on, past, stale};
pub(crate) use failed::{failed, reason, rejected};

/// What a settlement depends on besides the verdict.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) object: &'a ObjectKind,
    pub(crate) retry: &'a RetryPolicy,
    pub(crate) now: DateTime<Utc>,
    pub(crate) dice: f64,
    /// Set if the record is a probe that tests whether a gate may open. A failed probe waits this
    /// long, and the failure is not counted.
    pub(crate) probe: Option<TimeDelta>,
}

/// Settles a record that needed no call, because HubSpot holds all values already.
pub(crate) fn unchanged(planned: &Planned, terms: Terms<'_>) -> Settlement {
    let mut settlement = base(planned);
    settlement.accepted = Some(planned.folded.properties.clone());
    settlement.slots = slots(&planned.folded, terms.object);
    settlement.own = own(planned, terms.object);
    settlement.rows.extend(written_rows(planned, BTreeMap::new()));
    settlement
}

/// Settles a record that cannot be created yet. It waits, and its rows fail after `wait`.
pub(crate) fn missing(
    planned: &Planned,
    lacking: &[String],
    wait: TimeDelta,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = base(planned);
    let reason = format!("HubSpot cannot create it before {} has arrived", lacking.join(", "));
    // Every row has its own deadline. The record is planned again at the next deadline.
    let open: Vec<&Row> = planned.record.rows.iter().filter(|row| !row.along).collect();
    let loaded = i64::try_from(open.len());
    let (over, waiting): (Vec<&Row>, Vec<&Row>) =
        open.into_iter().partition(|row| row.created_at + wait <= terms.now);
    if let Some(next) = waiting.iter().map(|row| row.created_at + wait).min() {
        // If not all rows were loaded, the missing property may be in the others. This is a known
        // limit.
        let loaded = match loaded {
            Ok(loaded) if loaded < ROWS_PER_RECORD => loaded,
            _ => i64::MAX,
        };
        settlement.wait = Some(Wait { until: next, reason: reason.clone(), loaded });
    }
    if over.is_empty() && waiting.is_empty() {
        // After a delete, too little of the record is left to create it from.
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

/// Settles a record that HubSpot has written.
pub(crate) fn written(
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
    if planned.record.lookup.is_some() {
        settlement.lookup = LookupChange::Clear;
    }
    if shown.new {
        settlement.adoption = Adoption::End;
    }
    match planned.record.hubspot_id.as_deref() {
        Some(link) if link == shown.id => {}
        None => settlement.link = Link::Set(shown.id.clone()),
        Some(_) => {
            settlement.link = Link::Moved(shown.id.clone());
            // People merged the record, and HubSpot chose which values to keep. Send all owned
            // values again.
            if planned.record.doubt == 0 {
                settlement.certainty = Certainty::Doubtful;
            }
        }
    }
    settlement.rows = refused_rows(planned);
    settlement.rows.extend(written_rows(planned, warnings(planned, sent, shown)));
    settlement
}

/// Settles a call that cleared a property. The rows stay open, and their value of it is sent next.
fn cleared(planned: &Planned, property: &str) -> Settlement {
    let mut settlement = base(planned);
    let mut accepted = planned.record.accepted.clone();
    if let Some(register) = accepted.get_mut(property) {
        register.value = String::new();
    }
    settlement.accepted = Some(accepted);
    // Doubt about the other properties remains, because this call did not send them.
    let certain = planned.record.doubt == 0;
    settlement.certainty = if certain { Certainty::Certain } else { Certainty::Doubtful };
    settlement.backoff = Backoff::Reset;
    settlement
}

pub(crate) fn base(planned: &Planned) -> Settlement {
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

/// What HubSpot altered or did not take, by the row that supplied the value. No value is repeated.
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

/// What the rows of each subject supplied, if several subjects share the HubSpot record.
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
