//! Calls that make or remove associations.
//!
//! Batches answer for each item, whatever the trace ids. But a type that does not belong to the
//! pair of kinds refuses the whole call.

use axum::http::Method;
use serde_json::{Value, json};

use crate::account::ends::{Pair, end, type_ids, wrong_type};
use crate::account::links::{self, End};
use crate::account::state::State;
use crate::api::batch::{complete, dropped, refuse_empty};
use crate::kinds::{Kind, Version};
use crate::wire::body;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

const WRITE_LIMIT: usize = 2_000;
const READ_LIMIT: usize = 1_000;

/// Everything under `/crm/associations/{version}/{from}/{to}`.
pub(crate) fn answer(
    state: &mut State,
    call: &Call,
    version: Version,
    pair: Pair,
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::POST, ["batch", "create"]) => create(state, call, pair),
        (&Method::POST, ["batch", "associate", "default"]) => join_default(state, call, pair),
        (&Method::POST, ["batch", "read"]) => read(state, call, pair),
        (&Method::POST, ["batch", "archive"]) => archive(state, call, version, pair),
        (&Method::POST, ["batch", "labels", "archive"]) => archive_labels(state, call, pair),
        (&Method::GET, ["labels"]) => {
            let types = links::types(pair.0, pair.1).into_iter().map(|(id, _)| type_view(id));
            Ok(Reply::json(200, json!({"results": types.collect::<Vec<_>>()})))
        }
        (_, _) => Err(Refusal::not_found()),
    }
}

/// Everything under `/crm/objects/{version}/{type}/{id}/associations`.
pub(crate) fn answer_of_record(
    state: &mut State,
    call: &Call,
    (kind, id): (Kind, &str),
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::PUT, ["default", to, to_id]) => {
            let (from, to) = ends(state, (kind, kind_of(to)?), id, to_id)?;
            state.links.join(from, to, &[]);
            Ok(Reply::json(200, complete(default_view(from, to), Vec::new())))
        }
        (&Method::PUT, [to, to_id]) => {
            let pair = (kind, kind_of(to)?);
            let type_ids = type_ids(pair, call.json()?)?;
            let (from, to) = ends(state, pair, id, to_id)?;
            state.links.part(from, to, None);
            state.links.join(from, to, &type_ids);
            Ok(Reply::json(201, labels_view(from, to, &type_ids)))
        }
        (&Method::DELETE, [to, to_id]) => {
            if let Ok((from, to)) = ends(state, (kind, kind_of(to)?), id, to_id) {
                state.links.part(from, to, None);
            }
            Ok(Reply::empty(204))
        }
        (&Method::GET, [to]) => {
            let record = state.store(kind).live_text(id).ok_or_else(Refusal::not_found)?;
            let far = far_view(state, (kind, record.id), kind_of(to)?);
            Ok(Reply::json(200, call.page(far, 500)))
        }
        (_, _) => Err(Refusal::not_found()),
    }
}

fn create(state: &mut State, call: &Call, pair: Pair) -> Answer {
    let inputs = body::inputs(call, WRITE_LIMIT)?;
    refuse_empty(state, inputs.len())?;
    let types: Vec<Vec<u32>> =
        inputs.iter().map(|i| type_ids(pair, &i["types"])).collect::<Result<_, _>>()?;
    let dropped = dropped(state, &inputs.iter().collect::<Vec<_>>());
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for ((input, type_ids), _) in inputs.iter().zip(types).zip(dropped).filter(|(_, gone)| !gone) {
        match input_ends(state, pair, input, &input["to"]) {
            Ok((from, to)) => {
                state.links.join(from, to, &type_ids);
                results.push(labels_view(from, to, &type_ids));
            }
            Err(refusal) => errors.push(refusal.item(None, state.settings.portal_id)),
        }
    }
    state.shuffle(&mut results);
    let status = if errors.is_empty() { 201 } else { 207 };
    Ok(Reply::json(status, complete(results, errors)))
}

/// The only batch whose errors are inside a 200.
fn join_default(state: &mut State, call: &Call, pair: Pair) -> Answer {
    let inputs = body::inputs(call, WRITE_LIMIT)?;
    refuse_empty(state, inputs.len())?;
    if links::types(pair.0, pair.1).is_empty() {
        return Err(wrong_type(0, pair));
    }
    let dropped = dropped(state, &inputs.iter().collect::<Vec<_>>());
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for (input, _) in inputs.iter().zip(dropped).filter(|(_, gone)| !gone) {
        match input_ends(state, pair, input, &input["to"]) {
            Ok((from, to)) => {
                state.links.join(from, to, &[]);
                results.extend(default_view(from, to));
            }
            Err(refusal) => errors.push(refusal.item(None, state.settings.portal_id)),
        }
    }
    state.shuffle(&mut results);
    Ok(Reply::json(200, complete(results, errors)))
}

fn read(state: &mut State, call: &Call, pair: Pair) -> Answer {
    let inputs = body::inputs(call, READ_LIMIT)?;
    refuse_empty(state, inputs.len())?;
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in inputs {
        let id = body::text(&input["id"]).unwrap_or_default();
        let far = end(state, pair.0, &id, "FROM").map(|from| far_view(state, from, pair.1));
        match far {
            Ok(far) if !far.is_empty() => results.push(json!({"from": {"id": id}, "to": far})),
            _ => {
                let (from, to) = (pair.0.singular(), pair.1.singular());
                let none = Refusal::plain(404, format!("No {to} is associated with {from} {id}."))
                    .category("OBJECT_NOT_FOUND")
                    .sub_category("crm.associations.NO_ASSOCIATIONS_FOUND")
                    .context("fromObjectId", &[id])
                    .context("fromObjectType", &[from])
                    .context("toObjectType", &[to]);
                errors.push(none.item(None, state.settings.portal_id));
            }
        }
    }
    state.shuffle(&mut results);
    let status = if errors.is_empty() { 200 } else { 207 };
    Ok(Reply::json(status, complete(results, errors)))
}

fn archive(state: &mut State, call: &Call, version: Version, pair: Pair) -> Answer {
    let inputs = body::inputs(call, WRITE_LIMIT)?;
    refuse_empty(state, inputs.len())?;
    for input in inputs {
        for to in input["to"].as_array().map_or(&[][..], Vec::as_slice) {
            if let Ok((from, to)) = input_ends(state, pair, input, to) {
                state.links.part(from, to, None);
            }
        }
    }
    Ok(match version {
        Version::Old => Reply::empty(204),
        _ => Reply::json(200, complete(Vec::new(), Vec::new())),
    })
}

fn archive_labels(state: &mut State, call: &Call, pair: Pair) -> Answer {
    let inputs = body::inputs(call, WRITE_LIMIT)?;
    refuse_empty(state, inputs.len())?;
    let types: Vec<Vec<u32>> =
        inputs.iter().map(|i| type_ids(pair, &i["types"])).collect::<Result<_, _>>()?;
    for (input, type_ids) in inputs.iter().zip(types) {
        if let Ok((from, to)) = input_ends(state, pair, input, &input["to"]) {
            state.links.part(from, to, Some(&type_ids));
        }
    }
    Ok(Reply::empty(204))
}

fn input_ends(state: &State, pair: Pair, input: &Value, to: &Value) -> Result<(End, End), Refusal> {
    let from = body::text(&input["from"]["id"]).unwrap_or_default();
    let to = body::text(&to["id"]).unwrap_or_default();
    ends(state, pair, &from, &to)
}

fn ends(state: &State, pair: Pair, from: &str, to: &str) -> Result<(End, End), Refusal> {
    let (near, far) = (end(state, pair.0, from, "FROM")?, end(state, pair.1, to, "TO")?);
    if near == far {
        let message = format!("Object {from} cannot be associated to itself ({from})");
        return Err(Refusal::validation(message));
    }
    Ok((near, far))
}

fn kind_of(word: &str) -> Result<Kind, Refusal> {
    let unknown = || Refusal::plain(400, format!("Unable to infer object type from: {word}"));
    Kind::parse(word).ok_or_else(unknown)
}

fn far_view(state: &State, from: End, to: Kind) -> Vec<Value> {
    let each = state.links.of(from, to).map(|(id, type_ids)| {
        let types: Vec<Value> = type_ids.iter().copied().map(type_view).collect();
        json!({"toObjectId": id, "associationTypes": types})
    });
    each.collect()
}

fn type_view(id: u32) -> Value {
    json!({"category": "HUBSPOT_DEFINED", "typeId": id, "label": links::label(id)})
}

fn labels_view(from: End, to: End, type_ids: &[u32]) -> Value {
    let labels: Vec<&str> = type_ids.iter().filter_map(|id| links::label(*id)).collect();
    json!({
        "fromObjectTypeId": from.0.type_id(), "fromObjectId": from.1,
        "toObjectTypeId": to.0.type_id(), "toObjectId": to.1,
        "labels": labels,
    })
}

fn default_view(from: End, to: End) -> Vec<Value> {
    let Some((there, back)) = links::types(from.0, to.0).first().copied() else {
        return Vec::new();
    };
    let spec = |from: End, to: End, id: u32| {
        json!({
            "from": {"id": from.1.to_string()}, "to": {"id": to.1.to_string()},
            "associationSpec":
                {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": id},
        })
    };
    vec![spec(from, to, there), spec(to, from, back)]
}
