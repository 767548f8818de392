//! Batches of records: all or nothing, unless every input has its own trace id.
//!
//! Inputs are processed one after another, so two of them can conflict. If the batch must be
//! refused as a whole, the inputs already processed are undone. Results are shuffled.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::account::state::State;
use crate::account::write::Written;
use crate::api::record_view::{non_unique, read_view, written_view};
use crate::clock;
use crate::kinds::{Kind, Version};
use crate::wire::body::{self, Input};
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// The most inputs of a batch of records.
const LIMIT: usize = 100;
/// The same for reads that ask for the history of properties.
const HISTORY_LIMIT: usize = 50;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    Update,
    Upsert,
}

/// Why one input failed.
enum Miss {
    /// The record does not exist. All such inputs share one error item.
    Missing,
    Refused(Refusal),
}

/// `POST batch/{verb}`.
pub(crate) fn answer(
    state: &mut State,
    call: &Call,
    version: Version,
    kind: Kind,
    verb: &str,
) -> Answer {
    match verb {
        "create" => write(state, call, version, kind, Verb::Create),
        "update" => write(state, call, version, kind, Verb::Update),
        "upsert" => write(state, call, version, kind, Verb::Upsert),
        "read" => read(state, call, kind),
        "archive" => archive(state, call, kind),
        _ => Err(Refusal::not_found()),
    }
}

/// Returns the body of a batch reply. `errors` appears only if there are any.
pub(crate) fn complete(results: Vec<Value>, errors: Vec<Value>) -> Value {
    let now = clock::iso(clock::now());
    let mut body = json!({
        "status": "COMPLETE", "results": results, "startedAt": now, "completedAt": now,
    });
    if !errors.is_empty() {
        body["numErrors"] = errors.len().into();
        body["errors"] = errors.into();
    }
    body
}

/// Refuses a batch without inputs, unless a fault allows it.
pub(crate) fn refuse_empty(state: &State, inputs: usize) -> Result<(), Refusal> {
    if inputs == 0 && !state.faults.empty_inputs_ok {
        return Err(Refusal::validation("At least one input is required in a batch request"));
    }
    Ok(())
}

/// Whether each input shall be dropped without any result.
pub(crate) fn dropped(state: &mut State, inputs: &[&Value]) -> Vec<bool> {
    let each = inputs.iter().map(|input| {
        state.inputs_seen += 1;
        let nth = state.inputs_seen;
        state.faults.drop_inputs.as_mut().is_some_and(|drop| drop.takes(nth, input))
    });
    each.collect()
}

fn write(state: &mut State, call: &Call, version: Version, kind: Kind, verb: Verb) -> Answer {
    let inputs = body::records(call, LIMIT, verb != Verb::Create)?;
    refuse_empty(state, inputs.len())?;
    if verb != Verb::Create {
        check_keys(state, kind, verb, &inputs)?;
        check_distinct(state, kind, &inputs)?;
    }
    let multi_status = !state.faults.no_multi_status && traced(&inputs);
    let raw: Vec<&Value> = inputs.iter().map(|i| &i.raw).collect();
    let dropped = dropped(state, &raw);
    let (mut done, mut refused, mut missing) = (Vec::new(), Vec::new(), Vec::new());
    for (input, _) in inputs.iter().zip(dropped).filter(|(_, dropped)| !dropped) {
        match apply(state, version, kind, verb, input) {
            Ok(written) => done.push((input, written)),
            Err(Miss::Missing) => missing.push(input.id.clone()),
            Err(Miss::Refused(refusal)) => refused.push((input, refusal)),
        }
    }
    if !multi_status && !refused.is_empty() {
        for (_, written) in done.into_iter().rev() {
            state.undo(kind, written);
        }
        let refusal = Refusal::of_batch(refused.into_iter().map(|(_, r)| r).collect());
        return Err(refusal.unwrap_or_else(Refusal::not_found));
    }
    let echo = !state.faults.no_trace_echo && (verb != Verb::Create || version != Version::Old);
    let mut results: Vec<Value> = done
        .iter()
        .map(|(input, written)| {
            let mut view = written_view(state, kind, written, version);
            if verb == Verb::Upsert {
                view["new"] = written.new.into();
            }
            if let Some(trace_id) = input.trace_id.as_ref().filter(|_| echo) {
                view["objectWriteTraceId"] = trace_id.clone().into();
            }
            view
        })
        .collect();
    state.shuffle(&mut results);
    let portal = state.settings.portal_id;
    let mut errors: Vec<Value> =
        refused.into_iter().map(|(i, r)| r.item(i.trace_id.as_deref(), portal)).collect();
    if !missing.is_empty() {
        errors.push(Refusal::missing_objects(kind, &missing).item(None, portal));
    }
    let full = if verb == Verb::Create { 201 } else { 200 };
    let status = if errors.is_empty() { full } else { 207 };
    Ok(Reply::json(status, complete(results, errors)))
}

/// Whether every input has a unique trace id.
fn traced(inputs: &[Input]) -> bool {
    let ids: BTreeSet<&String> = inputs.iter().filter_map(|i| i.trace_id.as_ref()).collect();
    ids.len() == inputs.len()
}

fn check_keys(state: &State, kind: Kind, verb: Verb, inputs: &[Input]) -> Result<(), Refusal> {
    for input in inputs {
        let name = input.id_property.as_deref();
        let store = state.store(kind);
        let allowed = match (verb, name) {
            (Verb::Update, None) => true,
            (Verb::Update, Some("email")) | (_, None) => false,
            (_, Some(name)) => store.is_key(kind, name),
        };
        if !allowed {
            return Err(non_unique(state, kind, name.unwrap_or("hs_object_id")));
        }
    }
    Ok(())
}

/// Refuses the same id twice, or two ids of one record, whatever the trace ids.
fn check_distinct(state: &State, kind: Kind, inputs: &[Input]) -> Result<(), Refusal> {
    let mut seen = BTreeSet::new();
    let mut records = BTreeSet::new();
    let (mut twice, mut shared) = (Vec::new(), Vec::new());
    for input in inputs {
        let key = if input.id_property.as_deref() == Some("email") {
            input.id.to_lowercase()
        } else {
            input.id.clone()
        };
        if !seen.insert((input.id_property.clone(), key.clone())) && !twice.contains(&key) {
            twice.push(key);
        }
        if let Some(id) = target(state, kind, input)
            && !records.insert(id)
        {
            shared.push(id.to_string());
        }
    }
    let ids = if twice.is_empty() { shared } else { twice };
    if ids.is_empty() { Ok(()) } else { Err(Refusal::duplicate_ids(&ids)) }
}

/// Returns the record of an input, following merges. It may be an archived record that kept its
/// key.
fn target(state: &State, kind: Kind, input: &Input) -> Option<u64> {
    let store = state.store(kind);
    match input.id_property.as_deref() {
        None => store.live_text(&input.id).map(|r| r.id),
        Some(name) => store.owner_of(name, &input.id),
    }
}

fn apply(
    state: &mut State,
    version: Version,
    kind: Kind,
    verb: Verb,
    input: &Input,
) -> Result<Written, Miss> {
    let refused = Miss::Refused;
    if verb == Verb::Create {
        return state
            .create(kind, version, &input.properties, &input.associations)
            .map_err(refused);
    }
    let Some(id) = target(state, kind, input) else {
        let Some(name) = input.id_property.as_ref().filter(|_| verb == Verb::Upsert) else {
            return Err(Miss::Missing);
        };
        let mut properties = input.properties.clone();
        properties.entry(name.clone()).or_insert_with(|| input.id.clone());
        return state.create(kind, version, &properties, &[]).map_err(refused);
    };
    if state.store(kind).live(id).is_none() {
        if verb == Verb::Update {
            return Err(Miss::Missing);
        }
        let name = input.id_property.as_deref().unwrap_or_default();
        let fresh = state.new_id();
        return Err(refused(state.value_taken(kind, name, &input.id, fresh, id)));
    }
    let mut written = state.update(kind, version, id, &input.properties).map_err(refused)?;
    written.sent.extend(input.id_property.clone());
    Ok(written)
}

fn read(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let body = call.json()?;
    let history = body["propertiesWithHistory"].as_array().is_some_and(|p| !p.is_empty());
    let inputs = body::inputs(call, LIMIT)?;
    if history && inputs.len() > HISTORY_LIMIT {
        return Err(Refusal::validation(format!(
            "The maximum number of inputs supported in a batch request for property histories is \
             {HISTORY_LIMIT}. Please reduce the number of items and try again"
        )));
    }
    refuse_empty(state, inputs.len())?;
    let store = state.store(kind);
    let id_property = body["idProperty"].as_str().filter(|name| *name != "hs_object_id");
    if let Some(name) = id_property
        && !store.is_key(kind, name)
    {
        return Err(non_unique(state, kind, name));
    }
    let names: Vec<String> = body["properties"]
        .as_array()
        .map(|names| names.iter().filter_map(body::text).collect())
        .unwrap_or_default();
    let raw: Vec<&Value> = inputs.iter().collect();
    let dropped = dropped(state, &raw);
    let store = state.store(kind);
    let (mut found, mut missing) = (BTreeMap::new(), Vec::new());
    for (input, _) in inputs.iter().zip(dropped).filter(|(_, dropped)| !dropped) {
        let id = body::text(&input["id"]).unwrap_or_default();
        let record = match id_property {
            None => store.live_text(&id),
            Some(name) => store.owner_of(name, &id).and_then(|owner| store.live(owner)),
        };
        match record {
            // Two ids of one record return it once.
            Some(record) => drop(found.insert(record.id, ())),
            None => missing.push(id),
        }
    }
    let mut results: Vec<Value> =
        found.into_keys().map(|id| read_view(state, kind, id, &names)).collect();
    state.shuffle(&mut results);
    if missing.is_empty() {
        return Ok(Reply::json(200, complete(results, Vec::new())));
    }
    let item = Refusal::missing_objects(kind, &missing).item(None, state.settings.portal_id);
    Ok(Reply::json(207, complete(results, vec![item])))
}

/// Archives records by their ids only. Unknown ids are ignored.
fn archive(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let inputs = body::inputs(call, LIMIT)?;
    refuse_empty(state, inputs.len())?;
    for input in inputs {
        if let Some(id) = body::text(&input["id"]).and_then(|id| id.parse().ok()) {
            state.archive(kind, id);
        }
    }
    Ok(Reply::empty(204))
}
