//! Calls that read pipelines and owners.

use axum::http::Method;
use serde_json::{Value, json};

use crate::account::pipelines::Pipeline;
use crate::account::state::State;
use crate::clock::EPOCH;
use crate::kinds::Kind;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// `GET` of all pipelines, of one, or of its stages.
pub(crate) fn answer(state: &State, call: &Call, kind: Kind, rest: &[&str]) -> Answer {
    let pipelines = state.pipelines_of(kind);
    let one = |id: &str| pipelines.iter().find(|p| p.id == id).ok_or_else(Refusal::not_found);
    let body = match (&call.method, rest) {
        (&Method::GET, []) => {
            json!({"results": (0..).zip(pipelines).map(view).collect::<Vec<_>>()})
        }
        (&Method::GET, [id]) => view((0, one(id)?)),
        (&Method::GET, [id, "stages"]) => json!({"results": stages(one(id)?)}),
        (_, _) => return Err(Refusal::not_found()),
    };
    Ok(Reply::json(200, body))
}

/// `GET` of all owners, or of one.
pub(crate) fn answer_owners(state: &State, call: &Call, rest: &[&str]) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let mut found: Vec<&Value> = state.owners.iter().collect();
            if let Some(email) = call.query.get("email") {
                found
                    .retain(|o| o["email"].as_str().is_some_and(|e| e.eq_ignore_ascii_case(email)));
            }
            if call.query.get("archived").is_some_and(|a| a == "true") {
                found.clear();
            }
            Ok(Reply::json(200, call.page(found.into_iter().cloned().collect(), 100)))
        }
        (&Method::GET, [id]) => {
            let owner = state.owners.iter().find(|o| o["id"] == **id);
            Ok(Reply::json(200, owner.ok_or_else(Refusal::not_found)?.clone()))
        }
        (_, _) => Err(Refusal::not_found()),
    }
}

fn view((order, pipeline): (usize, &Pipeline)) -> Value {
    json!({
        "id": pipeline.id, "label": pipeline.label, "displayOrder": order,
        "stages": stages(pipeline),
        "createdAt": EPOCH, "updatedAt": EPOCH, "archived": false,
    })
}

fn stages(pipeline: &Pipeline) -> Vec<Value> {
    let each = pipeline.stages.iter().enumerate().map(|(order, stage)| {
        json!({
            "id": stage.id, "label": stage.label, "displayOrder": order,
            "metadata": stage.metadata, "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
            "createdAt": EPOCH, "updatedAt": EPOCH, "archived": false,
        })
    });
    each.collect()
}
