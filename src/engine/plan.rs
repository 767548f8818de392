//! Plans a leased record: it needs a call, or nothing, or it waits for missing properties. Pure.

use std::collections::BTreeMap;

use serde_json::Map;

use crate::engine::coerce::changes::{Coerced, Origin, coerce};
use crate::engine::fold::{Folded, MappedRow, difference, fold};
use crate::event::{EventType, Fault};
use crate::hubspot::batch::Input as BatchInput;
use crate::hubspot::definitions::Definitions;
use crate::hubspot::key::key;
use crate::mapping::{Composed, Input, Mapping, ObjectKind, Operation, Warning, is_part};
use crate::queue::model::{Reason, Record, Register, Row, Stage, Stamp};

/// A leased record after its rows are mapped and folded.
#[derive(Debug)]
pub struct Planned {
    /// The record.
    pub record: Record,
    /// The rows that can be sent.
    pub rows: Vec<MappedRow>,
    /// The rows that cannot be sent, and why.
    pub refused: Vec<(i64, Reason)>,
    /// The desired state.
    pub folded: Folded,
    /// What the record needs.
    pub need: Need,
    /// What the account's definitions left out or altered, by the row that supplied the value.
    pub warnings: BTreeMap<i64, Vec<Warning>>,
}

/// What a record needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// It needs a call that writes these properties.
    Write(BTreeMap<String, String>),
    /// It needs a call that clears this property. It is planned again after that.
    Clear(String),
    /// It needs nothing, because HubSpot holds all values already.
    Nothing,
    /// It cannot be created until one property of each list has arrived.
    Missing(Vec<String>),
}

/// Maps and folds the rows of `record` and returns what it needs. Values are coerced to the
/// account's `definitions` where they are known.
///
/// The registers keep the requested values, even if something else is sent. A value that is left
/// out counts as done, so it costs no further call. If the account accepts it later, it is sent
/// when the whole record is next sent.
#[must_use]
pub fn plan(
    mapping: &Mapping,
    object: &ObjectKind,
    definitions: Option<&Definitions>,
    record: Record,
) -> Planned {
    let (mut rows, mut refused) = (Vec::new(), Vec::new());
    // If subjects share the HubSpot record, a delete voids only the values of its own subject.
    let tombstone = record.tombstone.filter(|_| !record.shared);
    for row in &record.rows {
        match map(mapping, &object.sync_type, row) {
            Ok(mapped) if void(&record, row) => {
                let (properties, parts, slots) = Default::default();
                rows.push(MappedRow { properties, parts, slots, ..mapped });
            }
            Ok(mapped) => rows.push(mapped),
            Err(reason) => refused.push((row.id, reason)),
        }
    }
    // The loop ends because each round has fewer rows.
    loop {
        let mut folded = fold(&record.accepted, tombstone, &rows);
        compose(mapping, &object.sync_type, &mut folded, &mut rows);
        let need = need(mapping, object, &record, &folded);
        let coerced = match (definitions, &need) {
            (Some(definitions), Need::Write(changes)) => {
                let origin = Origin { object, record: &record, rows: &rows, folded: &folded };
                coerce(definitions, &origin, changes).map(Some)
            }
            _ => Ok(None),
        };
        match coerced {
            Ok(None) => {
                let warnings = BTreeMap::new();
                return Planned { record, rows, refused, folded, need, warnings };
            }
            Ok(Some(coerced)) => {
                let Coerced { properties, warnings, clear } = coerced;
                let certain = record.hubspot_id.is_some() && record.doubt == 0;
                let need = match clear {
                    Some(property) => Need::Clear(property),
                    None if certain && properties.is_empty() => Need::Nothing,
                    None => Need::Write(properties),
                };
                return Planned { record, rows, refused, folded, need, warnings };
            }
            Err(unfit) => {
                rows.retain(|row| !unfit.contains_key(&row.stamp.row));
                refused.extend(unfit);
            }
        }
    }
}

/// Computes composed properties from their parts, whichever events the parts came in. The composed
/// value keeps its own stamp, so that a delete voids the value and its parts together. If a row
/// alone could not be read but the parts together can, the row's warning is removed.
fn compose(mapping: &Mapping, sync_type: &str, folded: &mut Folded, rows: &mut [MappedRow]) {
    let parts = folded.properties.iter().filter(|(name, _)| is_part(name));
    let parts: BTreeMap<String, String> =
        parts.map(|(name, register)| (name.clone(), register.value.clone())).collect();
    for Composed { property, value, own, parts, warnings } in mapping.compose(sync_type, &parts) {
        let stamp_of = |part| folded.properties.get(part).map(|register| register.stamp);
        let stamps: Vec<Stamp> = parts.iter().filter_map(stamp_of).collect();
        let (own, newest) = (own.iter().filter_map(stamp_of).max(), stamps.iter().max().copied());
        let (Some(stamp), Some(newest)) = (own, newest) else { continue };
        if folded.properties.get(&property).is_some_and(|held| held.stamp > stamp) {
            continue;
        }
        if let Some(value) = value {
            folded.properties.insert(property.clone(), Register { value, stamp });
        }
        for row in rows.iter_mut().filter(|row| stamps.contains(&row.stamp)) {
            row.warnings.retain(|warning| warning.property.as_ref() != Some(&property));
            if row.stamp == newest {
                row.warnings.extend(warnings.clone());
            }
        }
    }
}

/// Builds the input of one record for a batch call that writes `properties`. It always includes the
/// key.
#[must_use]
pub fn input(
    object: &ObjectKind,
    stage: Stage,
    namespace: Option<&str>,
    record: &Record,
    properties: &BTreeMap<String, String>,
) -> BatchInput {
    let key = key(namespace, &record.external_id);
    let mut properties = properties.clone();
    properties.insert(object.key.clone(), key.clone());
    let id = match (stage, &record.hubspot_id) {
        (Stage::Update, Some(id)) => id.clone(),
        _ => key,
    };
    BatchInput { trace: record.id.to_string(), id, properties }
}

/// Whether a row of a shared record is not newer than the delete of its subject.
fn void(record: &Record, row: &Row) -> bool {
    let deleted = if row.of_alias.is_some() { row.alias_tombstone } else { record.tombstone };
    record.shared && deleted.is_some_and(|deleted| row.stamp() <= deleted)
}

fn need(mapping: &Mapping, object: &ObjectKind, record: &Record, folded: &Folded) -> Need {
    let linked = record.hubspot_id.is_some();
    // A record in doubt is sent whole, because HubSpot may hold the value of a call whose reply was
    // lost.
    let doubtful = record.doubt != 0;
    let lost = doubtful && !folded.properties.is_empty();
    if !(linked || folded.alive || lost) {
        return Need::Nothing;
    }
    let mut changes = difference(folded, &record.accepted, !linked || doubtful);
    // hubferry no longer owns a property that the mapping does not name any more.
    changes.retain(|name, _| mapping.names(&object.sync_type, name));
    // A stage is valid only within its pipeline, and a person may have moved the record to another
    // one.
    if let Some(names) = &object.stage {
        for name in [&names.pipeline, &names.stage] {
            let moved = changes.contains_key(&names.pipeline) || changes.contains_key(&names.stage);
            if let (true, Some(register)) = (moved, folded.properties.get(name)) {
                changes.insert(name.clone(), register.value.clone());
            }
        }
    }
    if linked {
        return if changes.is_empty() && !doubtful { Need::Nothing } else { Need::Write(changes) };
    }
    let has = |name: &String| folded.properties.get(name).is_some_and(|r| !r.value.is_empty());
    let missing: Vec<String> = object
        .required_on_create
        .iter()
        .filter(|choice| !choice.iter().any(has))
        .map(|choice| choice.join(" or "))
        .collect();
    if missing.is_empty() { Need::Write(changes) } else { Need::Missing(missing) }
}

/// Maps one stored row with the current mapping files. The row of an alias uses the alias's
/// external id.
fn map(mapping: &Mapping, sync_type: &str, row: &Row) -> Result<MappedRow, Reason> {
    let stamp = row.stamp();
    if row.operation != Operation::Upsert {
        return Ok(MappedRow {
            stamp,
            operation: row.operation,
            properties: BTreeMap::new(),
            parts: BTreeMap::new(),
            slots: BTreeMap::new(),
            warnings: Vec::new(),
        });
    }
    let event_type: EventType = row.event_type.parse().map_err(|_| unmapped("its type"))?;
    // An erasure empties whole events. A row of another record then has no data left to send.
    let payload =
        row.data.as_ref().ok_or_else(|| erased("its event was erased with its subject"))?;
    let empty = Map::new();
    let data = payload.as_object().unwrap_or(&empty);
    let input = Input { event_type: &event_type, subject: &row.subject, data };
    let changes = mapping.map(&input).map_err(|faults| refusal(&faults))?;
    let change = changes
        .into_iter()
        .find(|c| c.output == row.output && c.sync_type == sync_type)
        .ok_or_else(|| unmapped("this record"))?;
    Ok(MappedRow {
        stamp,
        operation: change.operation,
        properties: change.properties,
        parts: change.parts,
        slots: change.associations,
        warnings: change.warnings,
    })
}

/// The reason for a row whose data was erased.
pub(crate) fn erased(message: &str) -> Reason {
    Reason {
        class: "rejected",
        code: "SUBJECT_ERASED".into(),
        property: None,
        message: message.into(),
        hint: Some("an admin may allow the subject again; then send the event anew".into()),
        correlation_id: None,
        http_status: None,
    }
}

fn unmapped(what: &str) -> Reason {
    Reason {
        class: "rejected",
        code: "NOT_MAPPED".into(),
        property: None,
        message: format!("the mapping files say nothing of {what} any more"),
        hint: Some("restore the mapping and retry, or discard the row".into()),
        correlation_id: None,
        http_status: None,
    }
}

fn refusal(faults: &[Fault]) -> Reason {
    let first = faults.first();
    Reason {
        class: "rejected",
        code: first.map_or_else(|| "INVALID".into(), |f| f.code.clone()),
        property: first.map(|f| f.pointer.clone()),
        message: first.map_or_else(String::new, |f| f.detail.clone()),
        hint: Some("the mapping files refuse this event now: correct them and retry".into()),
        correlation_id: None,
        http_status: None,
    }
}
