//! Calls on a single record.

use axum::http::Method;

use crate::account::state::State;
use crate::api::record_view::{non_unique, read_view, record_view, written_view};
use crate::api::{batch, lifecycle, search};
use crate::kinds::{Kind, Version};
use crate::wire::body;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// Everything under `/crm/objects/{version}/{type}` except for associations.
pub(crate) fn answer(
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

/// Archives a record. If it is in the recycle bin already, the call succeeds too.
fn archive(state: &mut State, kind: Kind, id: &str) -> Answer {
    let id: u64 = id.parse().map_err(|_| Refusal::not_found())?;
    let store = state.store(kind);
    if !store.records.contains_key(&store.current_id(id)) {
        return Err(Refusal::not_found());
    }
    state.archive(kind, id);
    Ok(Reply::empty(204))
}

/// Returns the live record for a path, by its id or by `idProperty`.
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
