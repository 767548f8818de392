//! The form in which records are returned.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::account::state::State;
use crate::account::store::Record;
use crate::account::write::Written;
use crate::clock;
use crate::kinds::{Kind, Version};
use crate::wire::reply::Refusal;

/// The refusal of a property that does not identify records.
pub(crate) fn non_unique(state: &State, kind: Kind, name: &str) -> Refusal {
    let (type_id, portal) = (kind.type_id(), state.settings.portal_id);
    Refusal::validation(format!(
        "Unable to perform update/upsert by non-unique {type_id} property {name} in portal ID \
         {portal}"
    ))
}

/// Returns a record as reads show it: the requested properties or the default ones, and the
/// system's own.
pub(crate) fn read_view(state: &State, kind: Kind, id: u64, names: &[String]) -> Value {
    state.store(kind).live(id).map_or(Value::Null, |record| record_view(state, kind, record, names))
}

/// Returns the same for a given record, archived or not.
pub(crate) fn record_view(state: &State, kind: Kind, record: &Record, names: &[String]) -> Value {
    let schema = &state.store(kind).schema;
    let usual = kind.read_properties().iter().map(|n| (*n).to_owned());
    let asked: Vec<String> = if names.is_empty() { usual.collect() } else { names.to_vec() };
    let mut properties: BTreeMap<String, Value> = BTreeMap::new();
    for name in asked.iter().map(String::as_str).chain(system_properties(kind)) {
        if schema.live(name).is_some() {
            let value = record.properties.get(name).cloned();
            properties.insert(name.to_owned(), value.map_or(Value::Null, Value::String));
        }
    }
    envelope(state, kind, record, json!(properties))
}

/// Returns a record as replies to writes show it: the sent properties with their current values,
/// and the system's own.
pub(crate) fn written_view(
    state: &State,
    kind: Kind,
    written: &Written,
    version: Version,
) -> Value {
    let Some(record) = state.store(kind).live(written.id) else { return Value::Null };
    let mut properties = Map::new();
    let calculated = record.properties.keys().map(String::as_str).filter(|n| n.starts_with("hs_"));
    for name in
        calculated.chain(written.sent.iter().map(String::as_str)).chain(system_properties(kind))
    {
        let value = record.properties.get(name).cloned().unwrap_or_default();
        properties.insert(name.to_owned(), value.into());
    }
    let mut view = envelope(state, kind, record, properties.into());
    if version.is_current() && !written.warnings.is_empty() {
        let warnings = written.warnings.iter().map(|w| {
            json!({
                "category": "PROPERTY_VALUE_NORMALIZED",
                "message": format!("The value of {} was normalized.", w.name),
                "context": {
                    "propertyName": w.name, "rawValue": w.raw, "normalizedValue": w.normalized,
                },
            })
        });
        view["warnings"] = warnings.collect();
    }
    view
}

fn system_properties(kind: Kind) -> [&'static str; 3] {
    [kind.created_property(), "hs_object_id", kind.modified_property()]
}

fn envelope(state: &State, kind: Kind, record: &Record, properties: Value) -> Value {
    let (portal, type_id) = (state.settings.portal_id, kind.type_id());
    let mut view = json!({
        "id": record.id.to_string(),
        "properties": properties,
        "createdAt": clock::iso(record.created_at),
        "updatedAt": clock::iso(record.updated_at),
        "archived": record.archived_at.is_some(),
        "url": format!("https://app.hubspot.com/contacts/{portal}/record/{type_id}/{}", record.id),
    });
    if let Some(at) = record.archived_at {
        view["archivedAt"] = clock::iso(at).into();
    }
    view
}
