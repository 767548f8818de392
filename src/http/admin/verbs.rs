//! What admins do: retry, discard, pause, resume.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::queue::{number, unknown};
use crate::http::AppState;
use crate::http::extract::JsonBody;
use crate::http::problem::Problem;
use crate::queue::retry::{OneRow, RetryFilter};

/// The name in the audit of whoever holds the admin key of the settings.
pub(super) const ACTOR: &str = "admin key";

/// Which failed rows are to be retried.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryBody {
    status: Option<String>,
    sync_type: Option<String>,
    error_code: Option<String>,
    ids: Option<Vec<RowNumber>>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
}

/// Row numbers are strings in our answers; both forms are understood.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum RowNumber {
    Number(i64),
    Text(String),
}

pub(super) async fn retry(
    State(state): State<AppState>,
    JsonBody(body): JsonBody<RetryBody>,
) -> Result<Json<Value>, Problem> {
    let bad = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "invalid_body", detail);
    if body.status.as_deref().is_some_and(|status| status != "failed") {
        return Err(bad("status: only `failed` rows can be retried; the others go by themselves"));
    }
    let ids = body.ids.map(|ids| {
        let number = |id: &RowNumber| match id {
            RowNumber::Number(id) => Some(*id),
            RowNumber::Text(id) => id.parse().ok(),
        };
        ids.iter().map(number).collect::<Option<Vec<i64>>>()
    });
    let ids = match ids {
        Some(None) => return Err(bad("ids: must be row numbers")),
        Some(ids) => ids,
        None => None,
    };
    let filter = RetryFilter {
        sync_type: body.sync_type,
        error_code: body.error_code,
        ids,
        since: body.since,
        until: body.until,
    };
    let now = state.queue.now().await?;
    let retried = state.queue.retry_failed(&filter, ACTOR, now).await?;
    Ok(Json(json!({ "retried": retried })))
}

pub(super) async fn retry_one(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = state.queue.now().await?;
    answer(state.queue.retry_one(number(&id)?, ACTOR, now).await?, "retried")
}

pub(super) async fn discard(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let now = state.queue.now().await?;
    answer(state.queue.discard(number(&id)?, ACTOR, now).await?, "discarded")
}

fn answer(outcome: OneRow, verb: &str) -> Result<Json<Value>, Problem> {
    match outcome {
        OneRow::Done => Ok(Json(json!({ verb: 1 }))),
        OneRow::Unknown => Err(unknown()),
        OneRow::NotFailed => Err(Problem::new(
            StatusCode::CONFLICT,
            "not_failed",
            "the row is not failed: only failed rows can be retried or discarded",
        )),
    }
}

pub(super) async fn allow(
    State(state): State<AppState>,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let now = state.queue.now().await?;
    if state.queue.allow(&sync_type, &external_id, ACTOR, now).await? {
        return Ok(Json(json!({ "allowed": true })));
    }
    let detail = "no erased subject has this kind and id";
    Err(Problem::new(StatusCode::NOT_FOUND, "unknown_record", detail))
}

/// Why sending is paused.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseBody {
    reason: Option<String>,
}

pub(super) async fn pause(
    State(state): State<AppState>,
    JsonBody(body): JsonBody<PauseBody>,
) -> Result<Json<Value>, Problem> {
    let now = state.queue.now().await?;
    state.queue.pause(ACTOR, body.reason.as_deref(), now).await?;
    Ok(Json(json!({ "gate": "paused" })))
}

pub(super) async fn resume(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let now = state.queue.now().await?;
    state.queue.resume(ACTOR, now).await?;
    Ok(Json(json!({ "gate": "open" })))
}
