//! Why each value would or would not be sent, as a person reads it. Pure.

use crate::mapping::{Mapping, ObjectKind, Operation};
use crate::queue::model::Stamp;
use crate::queue::preview::{Foreseen, Outlook, Prospect};

use super::fold::MappedRow;
use super::plan::{Need, Planned, plan};

/// What would become of `prospect` if it went out now; `None`: its kind is in no mapping file.
#[must_use]
pub fn explain(mapping: &Mapping, prospect: Prospect) -> Option<Outlook> {
    let object = mapping.object(&prospect.sync_type)?;
    let planned = plan(mapping, object, None, prospect.record);
    let (mut properties, mut associations) = (Vec::new(), Vec::new());
    for row in &planned.rows {
        properties.extend(row.properties.iter().map(|(name, value)| {
            let (verdict, reason) = property(&planned, row, name, value);
            Foreseen {
                name: name.clone(),
                value: Some(value.clone()),
                row: row.stamp.row,
                verdict,
                reason,
            }
        }));
        properties.extend(left_out(row));
        associations.extend(row.slots.iter().map(|(name, target)| {
            let (verdict, reason) = slot(&planned, row, name, target.as_ref());
            let value = target.as_ref().map(|target| named(object, name, target));
            Foreseen { name: name.clone(), value, row: row.stamp.row, verdict, reason }
        }));
    }
    properties.extend(planned.refused.iter().map(|(row, reason)| Foreseen {
        name: reason.property.clone().unwrap_or_else(|| "(the event)".into()),
        value: None,
        row: *row,
        verdict: "refused",
        reason: Some(format!("{}: {}", reason.code, reason.message)),
    }));
    Some(Outlook {
        note: note(&planned),
        sync_type: prospect.sync_type,
        linked: planned.record.hubspot_id.is_some(),
        external_id: planned.record.external_id,
        properties,
        associations,
    })
}

fn named(object: &ObjectKind, slot: &str, target: &str) -> String {
    let kind = object.slot(slot).map_or("", |slot| slot.target.as_str());
    format!("{kind} {target}").trim_start().to_owned()
}

/// What happens to the record as a whole, where that is not a write.
fn note(planned: &Planned) -> Option<String> {
    let asks = |operation| planned.rows.iter().any(|row| row.operation == operation);
    if asks(Operation::Erase) {
        return Some("is erased for good in HubSpot and here".into());
    }
    let linked = planned.record.hubspot_id.is_some();
    match &planned.need {
        _ if asks(Operation::Archive) && linked => {
            Some("is archived first; what is newer creates it again".into())
        }
        Need::Missing(lacking) => {
            Some(format!("waits: HubSpot cannot create it without {}", lacking.join(" and ")))
        }
        Need::Nothing => Some("costs no call: HubSpot holds all of it".into()),
        _ if planned.record.doubt != 0 => {
            Some("goes whole: the reply of its last call was lost".into())
        }
        Need::Write(_) | Need::Clear(_) => None,
    }
}

/// Why a row as a whole counts for nothing.
fn void(planned: &Planned, stamp: Stamp) -> Option<String> {
    let dead = planned.folded.tombstone.filter(|dead| stamp <= *dead)?;
    Some(format!("its event is not newer than the delete of {}", dead.at.to_rfc3339()))
}

fn property(
    planned: &Planned,
    row: &MappedRow,
    name: &str,
    value: &str,
) -> (&'static str, Option<String>) {
    if let Some(reason) = void(planned, row.stamp) {
        return ("void", Some(reason));
    }
    let newest = planned.folded.properties.get(name).map(|register| register.stamp);
    if let Some(newest) = newest.filter(|newest| *newest != row.stamp) {
        let reason = format!("row {} of {} is newer", newest.row, newest.at.to_rfc3339());
        return ("older", Some(reason));
    }
    let sent = match &planned.need {
        Need::Missing(_) => return ("waits", None),
        Need::Write(changes) => changes.get(name).cloned(),
        Need::Clear(cleared) if cleared == name => Some(value.to_owned()),
        Need::Clear(_) | Need::Nothing => None,
    };
    match sent {
        None => ("unchanged", Some("HubSpot has accepted this value already".into())),
        Some(sent) if sent != value => ("altered", Some(format!("HubSpot's word is {sent}"))),
        Some(sent) if sent.is_empty() => ("clear", None),
        Some(_) => ("send", None),
    }
}

/// What the mapping itself left out. What it altered is among the properties.
fn left_out(row: &MappedRow) -> impl Iterator<Item = Foreseen> + '_ {
    row.warnings.iter().filter_map(move |warning| {
        let name = warning.property.clone()?;
        let there = row.properties.contains_key(&name) || row.slots.contains_key(&name);
        (!there).then(|| Foreseen {
            name,
            value: None,
            row: row.stamp.row,
            verdict: "dropped",
            reason: Some(format!("{}: {}", warning.code, warning.message)),
        })
    })
}

fn slot(
    planned: &Planned,
    row: &MappedRow,
    name: &str,
    target: Option<&String>,
) -> (&'static str, Option<String>) {
    if let Some(reason) = void(planned, row.stamp) {
        return ("void", Some(reason));
    }
    let newest = planned.folded.slots.get(name).map(|(_, stamp)| *stamp);
    if let Some(newest) = newest.filter(|newest| *newest != row.stamp) {
        return ("older", Some(format!("row {} is newer", newest.row)));
    }
    match target {
        None => ("clear", Some("the association is dropped, if there is one".into())),
        Some(_) => ("send", Some("made as soon as both ends are in HubSpot".into())),
    }
}
