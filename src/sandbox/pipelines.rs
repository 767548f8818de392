//! Pipelines with their stages, and the owners of records: reference data that is only read.
//!
//! Both come from data files; an account made by the sandbox has one pipeline for deals and one
//! for tickets, with the ids every new HubSpot account has.

use std::collections::BTreeMap;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::kinds::Kind;
use super::reply::{Answer, Refusal, Reply};
use super::routes::Call;
use super::schema::EPOCH;
use super::state::State;

/// A sequence of stages.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) stages: Vec<Stage>,
}

/// A stage; its metadata are all strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "(String, String, BTreeMap<String, String>)")]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) metadata: BTreeMap<String, String>,
}

impl From<(String, String, BTreeMap<String, String>)> for Stage {
    fn from((id, label, metadata): (String, String, BTreeMap<String, String>)) -> Self {
        Self { id, label, metadata }
    }
}

/// The pipelines of a new account, by plural object type.
pub(super) fn builtin() -> BTreeMap<String, Vec<Pipeline>> {
    serde_json::from_str(include_str!("defaults/pipelines.json")).unwrap_or_default()
}

/// The owners of a new account.
pub(super) fn owners() -> Vec<Value> {
    let mut owners: Vec<Value> =
        serde_json::from_str(include_str!("defaults/owners.json")).unwrap_or_default();
    for owner in &mut owners {
        owner["type"] = "PERSON".into();
        owner["userIdIncludingInactive"] = owner["userId"].clone();
        owner["createdAt"] = EPOCH.into();
        owner["updatedAt"] = EPOCH.into();
        owner["archived"] = false.into();
    }
    owners
}

/// `GET` of all pipelines, of one, or of its stages.
pub(super) fn answer(state: &State, call: &Call, kind: Kind, rest: &[&str]) -> Answer {
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
pub(super) fn answer_owners(state: &State, call: &Call, rest: &[&str]) -> Answer {
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
