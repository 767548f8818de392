//! Builds previews: what would be sent for a record, value by value, and why.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::fold::MappedRow;
use crate::engine::plan::{Need, Planned, plan};
use crate::hubspot::definitions::Definitions;
use crate::mapping::{Mapping, ObjectKind, Operation};
use crate::queue::model::{Lookup, Row, Stamp};
use crate::queue::views::preview::PreviewInput;

/// What would happen to a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RecordPreview {
    /// The object kind.
    #[schema(example = "contact")]
    pub sync_type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    pub external_id: String,
    /// Whether HubSpot has it already.
    pub linked: bool,
    /// What happens to it as a whole, where that is not a write.
    pub note: Option<String>,
    /// Its properties, row by row.
    pub properties: Vec<ValuePreview>,
    /// Its associations, row by row.
    pub associations: Vec<ValuePreview>,
}

/// What would happen to a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ValuePreview {
    /// The property, or the association's slot.
    #[schema(example = "email")]
    pub name: String,
    /// The value; `null` where there is none to show.
    pub value: Option<String>,
    /// `send`, `clear`, `unchanged`, `older`, `void` (before a delete), `dropped`, `altered`,
    /// `waits` or `refused`.
    #[schema(example = "send")]
    pub verdict: &'static str,
    /// Why.
    pub reason: Option<String>,
}

/// Previews the next write of a record. Values are coerced to the account's `definitions` where
/// they are known. Returns `None` if no mapping file names the record's kind.
#[must_use]
pub fn preview(
    mapping: &Mapping,
    definitions: Option<&Definitions>,
    input: PreviewInput,
) -> Option<RecordPreview> {
    let object = mapping.object(&input.sync_type)?;
    let PreviewInput { sync_type, mut record, slots, erased } = input;
    let asks = |operation| record.rows.iter().any(|row| row.operation == operation);
    let erases = erased || asks(Operation::Erase);
    // A delete is sent first, and removes what HubSpot holds.
    let deletes = record.rows.iter().filter(|row| row.operation == Operation::Archive);
    let deleted = deletes.map(Row::stamp).max().filter(|stamp| Some(*stamp) > record.tombstone);
    let linked = record.hubspot_id.is_some();
    if deleted.is_some() {
        record.hubspot_id = None;
        record.accepted.clear();
    }
    let planned = plan(mapping, object, definitions, record);
    let look = Look { planned: &planned, slots: &slots, erases };
    let (mut properties, mut associations) = (Vec::new(), Vec::new());
    for row in &planned.rows {
        properties.extend(row.properties.iter().map(|(name, value)| {
            let (verdict, reason) = look.property(row, name, value);
            ValuePreview { name: name.clone(), value: Some(value.clone()), verdict, reason }
        }));
        properties.extend(left_out(row));
        associations.extend(row.slots.iter().map(|(name, target)| {
            let (verdict, reason) = look.slot(row, name, target.as_ref());
            let value = target.as_ref().map(|target| named(object, name, target));
            ValuePreview { name: name.clone(), value, verdict, reason }
        }));
    }
    properties.extend(planned.refused.iter().map(|(_, reason)| ValuePreview {
        name: reason.property.clone().unwrap_or_else(|| "(the event)".into()),
        value: None,
        verdict: "refused",
        reason: Some(format!("{}: {}", reason.code, reason.message)),
    }));
    let note = if erased && !asks_erase(&planned) {
        Some("is refused: its subject was erased".into())
    } else if erases && planned.record.adopted && !planned.record.erase_confirmed {
        Some("was adopted: by the setting adopted.on_erase it is erased, or waits for a person who confirms that".into())
    } else if erases {
        Some("is erased for good in HubSpot and here".into())
    } else if deleted.is_some() && linked && planned.record.adopted {
        Some("was adopted: by the setting adopted.on_delete it is unlinked or archived first; what is newer creates it again".into())
    } else if deleted.is_some() && linked {
        Some("is archived first; what is newer creates it again".into())
    } else {
        note(&planned)
    };
    let external_id = planned.record.external_id;
    Some(RecordPreview { sync_type, external_id, linked, note, properties, associations })
}

fn asks_erase(planned: &Planned) -> bool {
    planned.rows.iter().any(|row| row.operation == Operation::Erase)
}

fn named(object: &ObjectKind, slot: &str, target: &str) -> String {
    let kind = object.slot(slot).map_or("", |slot| slot.target.as_str());
    format!("{kind} {target}").trim_start().to_owned()
}

/// Describes what happens to the whole record if that is not a write.
fn note(planned: &Planned) -> Option<String> {
    match &planned.need {
        Need::Missing(lacking) => {
            let looked = planned.record.lookup == Some(Lookup::KeyNotFound);
            let unless = if looked { "" } else { " if HubSpot does not have it" };
            let lacking = lacking.join(" and ");
            Some(format!("waits{unless}: HubSpot cannot create it without {lacking}"))
        }
        Need::Clear(property) => Some(format!("goes in two calls: `{property}` is cleared first")),
        Need::Nothing if planned.rows.is_empty() && !planned.refused.is_empty() => {
            Some("sends nothing: every row is refused".into())
        }
        Need::Nothing if planned.record.hubspot_id.is_none() => {
            Some("is not in HubSpot, and nothing that is left would create it".into())
        }
        Need::Nothing if !planned.warnings.is_empty() => {
            Some("costs no call: HubSpot holds what it takes of it".into())
        }
        Need::Nothing => Some("costs no call: HubSpot holds all of it".into()),
        Need::Write(_) if planned.record.doubt != 0 => Some(
            "all values are sent: a person asked for that, or the reply to the last call was lost"
                .into(),
        ),
        Need::Write(_) => None,
    }
}

type Verdict = (&'static str, Option<String>);

struct Look<'a> {
    planned: &'a Planned,
    slots: &'a BTreeMap<String, (Option<String>, Stamp)>,
    erases: bool,
}

impl Look<'_> {
    /// Why a whole row has no effect.
    fn void(&self, stamp: Stamp) -> Option<Verdict> {
        if self.erases {
            return Some(("void", Some("the subject is erased".into())));
        }
        let dead = self.planned.folded.tombstone.filter(|dead| stamp <= *dead)?;
        let reason = format!("its event is not newer than the delete of {}", dead.at.to_rfc3339());
        Some(("void", Some(reason)))
    }

    fn property(&self, row: &MappedRow, name: &str, value: &str) -> Verdict {
        if let Some(void) = self.void(row.stamp) {
            return void;
        }
        let newest = self.planned.folded.properties.get(name).map(|register| register.stamp);
        if let Some(newest) = newest.filter(|newest| *newest != row.stamp) {
            return ("older", Some(format!("an event of {} is newer", newest.at.to_rfc3339())));
        }
        let warnings = self.planned.warnings.get(&row.stamp.row).into_iter().flatten();
        let warning = warnings
            .filter(|w| w.property.as_deref() == Some(name))
            .map(|w| format!("{}: {}", w.code, w.message))
            .next();
        let sent = match &self.planned.need {
            Need::Missing(_) => return ("waits", None),
            Need::Write(changes) => changes.get(name).cloned(),
            Need::Clear(cleared) if cleared == name => Some(value.to_owned()),
            Need::Clear(_) => return ("waits", Some("for the call that clears first".into())),
            Need::Nothing => None,
        };
        match sent {
            None if warning.is_some() => ("dropped", warning),
            None => ("unchanged", Some("HubSpot has accepted this value already".into())),
            Some(sent) if sent != value => {
                ("altered", warning.or_else(|| Some(format!("HubSpot's word is {sent}"))))
            }
            Some(sent) if sent.is_empty() => ("clear", None),
            Some(_) => ("send", None),
        }
    }

    fn slot(&self, row: &MappedRow, name: &str, target: Option<&String>) -> Verdict {
        if let Some(void) = self.void(row.stamp) {
            return void;
        }
        let stored = self.slots.get(name);
        let newest = self.planned.folded.slots.get(name).map(|(_, stamp)| *stamp);
        let newest = newest.max(stored.map(|(_, stamp)| *stamp));
        if let Some(newest) = newest.filter(|newest| *newest != row.stamp) {
            return ("older", Some(format!("an event of {} is newer", newest.at.to_rfc3339())));
        }
        match target {
            _ if stored.is_some_and(|(held, _)| held.as_ref() == target) => {
                ("unchanged", Some("the slot holds this target already".into()))
            }
            None => ("clear", Some("the association is dropped, if there is one".into())),
            Some(_) => ("send", Some("made as soon as both ends are in HubSpot".into())),
        }
    }
}

/// What the mapping left out. What it altered is listed among the properties.
fn left_out(row: &MappedRow) -> impl Iterator<Item = ValuePreview> + '_ {
    row.warnings.iter().filter_map(move |warning| {
        let name = warning.property.clone()?;
        let there = row.properties.contains_key(&name) || row.slots.contains_key(&name);
        (!there).then(|| ValuePreview {
            name,
            value: None,
            verdict: "dropped",
            reason: Some(format!("{}: {}", warning.code, warning.message)),
        })
    })
}
