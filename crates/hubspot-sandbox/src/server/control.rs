//! The endpoints under `/_sandbox`, which inspect the account and act on it from outside.
//!
//! They need no token, count for no limit, and are not in the call log.

use std::collections::BTreeMap;

use axum::extract::{Path, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::kinds::Kind;
use crate::sandbox::Sandbox;
use crate::server::guard;

/// Builds all routes: these, and the API for all other paths.
pub(crate) fn router(sandbox: Sandbox) -> Router {
    Router::new()
        .route("/_sandbox", get(index))
        .route("/_sandbox/objects/{type}", get(objects))
        .route("/_sandbox/associations", get(associations))
        .route("/_sandbox/calls", get(calls).delete(clear_calls))
        .route("/_sandbox/faults", get(faults).put(set_faults))
        .route("/_sandbox/create", post(create))
        .route("/_sandbox/edit", post(edit))
        .route("/_sandbox/merge", post(merge))
        .route("/_sandbox/archive", post(archive))
        .route("/_sandbox/reset", post(reset))
        .fallback(guard::answer)
        .with_state(sandbox)
}

async fn index() -> Json<Value> {
    Json(json!({
        "GET /_sandbox/objects/{type}": "the live records of a type",
        "GET /_sandbox/associations": "all associations, in both directions",
        "GET /_sandbox/calls": "the API calls so far, and the busiest ten seconds",
        "DELETE /_sandbox/calls": "empties the log of calls",
        "GET /_sandbox/faults": "the faults in force",
        "PUT /_sandbox/faults": "replaces them all; {} clears them",
        "POST /_sandbox/create": "{type, properties}: makes a record, as a person would",
        "POST /_sandbox/edit": "{type, id, properties}: changes a record",
        "POST /_sandbox/merge": "{type, primary_id, other_id}: merges two records",
        "POST /_sandbox/archive": "{type, id}: puts a record into the recycle bin",
        "POST /_sandbox/reset": "an empty account with the settings it started with",
    }))
}

async fn objects(Shared(sandbox): Shared<Sandbox>, Path(object_type): Path<String>) -> Response {
    if Kind::parse(&object_type).is_none() {
        return fault(format!("no object type {object_type}"));
    }
    Json(json!({"results": sandbox.objects(&object_type)})).into_response()
}

async fn associations(Shared(sandbox): Shared<Sandbox>) -> Json<Value> {
    Json(json!({"results": sandbox.associations()}))
}

async fn calls(Shared(sandbox): Shared<Sandbox>) -> Json<Value> {
    Json(json!({"peak_window": sandbox.peak_window(), "results": sandbox.calls()}))
}

async fn clear_calls(Shared(sandbox): Shared<Sandbox>) -> StatusCode {
    sandbox.clear_calls();
    StatusCode::NO_CONTENT
}

async fn faults(Shared(sandbox): Shared<Sandbox>) -> Json<Faults> {
    Json(sandbox.faults())
}

async fn set_faults(Shared(sandbox): Shared<Sandbox>, body: String) -> Response {
    let faults: Faults = match parse(&body) {
        Ok(faults) => faults,
        Err(refusal) => return refusal,
    };
    if let Some(message) = faults.fault() {
        return fault(message);
    }
    sandbox.set_faults(faults);
    Json(sandbox.faults()).into_response()
}

/// The arguments of the actions. Each action uses some of them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Act {
    #[serde(rename = "type")]
    object_type: String,
    #[serde(default)]
    id: String,
    #[serde(default)]
    primary_id: String,
    #[serde(default)]
    other_id: String,
    #[serde(default)]
    properties: BTreeMap<String, String>,
}

async fn create(Shared(sandbox): Shared<Sandbox>, body: String) -> Response {
    let act: Act = match parse(&body) {
        Ok(act) => act,
        Err(refusal) => return refusal,
    };
    match sandbox.try_create(&act.object_type, &act.properties) {
        Ok(id) => (StatusCode::CREATED, Json(json!({"id": id}))).into_response(),
        Err(message) => fault(message),
    }
}

async fn edit(Shared(sandbox): Shared<Sandbox>, body: String) -> Response {
    let act: Act = match parse(&body) {
        Ok(act) => act,
        Err(refusal) => return refusal,
    };
    match sandbox.try_edit(&act.object_type, &act.id, &act.properties) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(message) => fault(message),
    }
}

async fn merge(Shared(sandbox): Shared<Sandbox>, body: String) -> Response {
    let act: Act = match parse(&body) {
        Ok(act) => act,
        Err(refusal) => return refusal,
    };
    match sandbox.merge(&act.object_type, &act.primary_id, &act.other_id) {
        Some(id) => Json(json!({"id": id})).into_response(),
        None => fault("no two such live records".into()),
    }
}

async fn archive(Shared(sandbox): Shared<Sandbox>, body: String) -> Response {
    let act: Act = match parse(&body) {
        Ok(act) => act,
        Err(refusal) => return refusal,
    };
    if sandbox.archive(&act.object_type, &act.id) {
        return StatusCode::NO_CONTENT.into_response();
    }
    fault("no such live record".into())
}

async fn reset(Shared(sandbox): Shared<Sandbox>) -> StatusCode {
    sandbox.reset();
    StatusCode::NO_CONTENT
}

fn parse<T: DeserializeOwned>(body: &str) -> Result<T, Response> {
    serde_json::from_str(body).map_err(|e| fault(e.to_string()))
}

fn fault(message: String) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"message": message}))).into_response()
}
