//! Calls that deal with one record, and the shape in which records are shown.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::kinds::{Kind, Version};
use super::reply::{Answer, Refusal, Reply};
use super::routes::Call;
use super::state::{Record, State};
use super::write::Written;
use super::{batch, body, clock, lifecycle, search};

/// Everything under `/crm/objects/{version}/{type}` but the associations.
pub(super) fn answer(
    state: &mut State,
    call: &Call,
    version: Version,
    kind: Kind,
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::POST, []) => create(state, call, version, kind),
        (&Method::GET, []) => list(state, call, kind),
        (&Method::POST, ["batch", verb]) => batch::answer(state, call, version, kind, verb),
        (&Method::POST, ["merge"]) => lifecycle::answer_merge(state, call, kind),
        (&Method::POST, ["gdpr-delete"]) => lifecycle::answer_erase(state, call, kind),
        (&Method::POST, ["search"]) => search::answer(state, call, kind),
        (&Method::GET, [id]) => read(state, call, kind, id),
        (&Method::PATCH, [id]) => update(state, call, version, kind, id),
        (&Method::DELETE, [id]) => archive(state, kind, id),
        (_, _) => Err(Refusal::not_found()),
    }
}

fn create(state: &mut State, call: &Call, version: Version, kind: Kind) -> Answer {
    let body = call.json()?;
    let properties = body::properties(call, body)?;
    let associations = body["associations"].as_array().map_or(&[][..], Vec::as_slice);
    let written = state.create(kind, version, &properties, associations)?;
    Ok(Reply::json(201, written_view(state, kind, &written, version)))
}

fn list(state: &State, call: &Call, kind: Kind) -> Answer {
    let names = call.list("properties");
    let archived = call.query.get("archived").is_some_and(|a| a == "true");
    let records = state.store(kind).records.values();
    let shown = records
        .filter(|r| r.archived_at.is_some() == archived)
        .map(|r| record_view(state, kind, r, &names));
    Ok(Reply::json(200, call.page(shown.collect(), 10)))
}

fn read(state: &State, call: &Call, kind: Kind, id: &str) -> Answer {
    let names = call.list("properties");
    if call.query.get("archived").is_some_and(|a| a == "true") {
        let record = id.parse().ok().and_then(|id: u64| state.store(kind).records.get(&id));
        let record = record.filter(|r| r.archived_at.is_some()).ok_or_else(Refusal::not_found)?;
        return Ok(Reply::json(200, record_view(state, kind, record, &names)));
    }
    let id = find(state, call, kind, id)?;
    Ok(Reply::json(200, read_view(state, kind, id, &names)))
}

fn update(state: &mut State, call: &Call, version: Version, kind: Kind, id: &str) -> Answer {
    let properties = body::properties(call, call.json()?)?;
    if properties.is_empty() {
        let message = "No properties found to update, please provide at least one.";
        return Err(Refusal::validation(message).context("properties", &["{}"]));
    }
    let id = find(state, call, kind, id)?;
    let written = state.update(kind, version, id, &properties)?;
    Ok(Reply::json(200, written_view(state, kind, &written, version)))
}

/// Deleting a record that is in the recycle bin already is as good as done.
fn archive(state: &mut State, kind: Kind, id: &str) -> Answer {
    let id: u64 = id.parse().map_err(|_| Refusal::not_found())?;
    let store = state.store(kind);
    if !store.records.contains_key(&store.current_id(id)) {
        return Err(Refusal::not_found());
    }
    state.archive(kind, id);
    Ok(Reply::empty(204))
}

/// The live record a path means, by its id or by `idProperty`.
fn find(state: &State, call: &Call, kind: Kind, id: &str) -> Result<u64, Refusal> {
    let store = state.store(kind);
    let found = match call.query.get("idProperty").map(String::as_str) {
        None | Some("hs_object_id") => store.live_text(id),
        Some(name) if !store.is_key(kind, name) => {
            return Err(non_unique(state, kind, name));
        }
        Some(name) => store.owner_of(name, id).and_then(|owner| store.live(owner)),
    };
    found.map(|r| r.id).ok_or_else(Refusal::not_found)
}

/// The refusal of a property that does not identify records.
pub(super) fn non_unique(state: &State, kind: Kind, name: &str) -> Refusal {
    let (type_id, portal) = (kind.type_id(), state.settings.portal_id);
    Refusal::validation(format!(
        "Unable to perform update/upsert by non-unique {type_id} property {name} in portal ID \
         {portal}"
    ))
}

/// A record as reads show it: what was asked for, or the usual few, and the system's own.
pub(super) fn read_view(state: &State, kind: Kind, id: u64, names: &[String]) -> Value {
    state.store(kind).live(id).map_or(Value::Null, |record| record_view(state, kind, record, names))
}

fn record_view(state: &State, kind: Kind, record: &Record, names: &[String]) -> Value {
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

/// A record as the reply to a write shows it: what was sent, as it is now, and the system's own.
pub(super) fn written_view(
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
