//! `GET /admin/sync/queue` and `/queue/{id}`.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::view;
use crate::event::Priority;
use crate::http::AppState;
use crate::http::extract::Params;
use crate::http::problem::Problem;
use crate::queue::list::RowFilter;
use crate::queue::model::Status;

/// The filters of a list, as they come.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListParams {
    status: Option<String>,
    sync_type: Option<String>,
    event_type: Option<String>,
    external_id: Option<String>,
    error_code: Option<String>,
    priority: Option<String>,
    since: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// A page is at most so long.
const LONGEST_PAGE: i64 = 500;
const PAGE: i64 = 50;

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
}

pub(super) async fn list(
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<Value>, Problem> {
    let limit = params.limit.unwrap_or(PAGE);
    if !(1..=LONGEST_PAGE).contains(&limit) {
        return Err(bad(format!("limit: must be between 1 and {LONGEST_PAGE}")));
    }
    let before = match params.cursor.as_deref() {
        Some(cursor) => Some(cursor.parse().map_err(|_| bad("cursor: not one of ours".into()))?),
        None => None,
    };
    let status = params.status.as_deref().map(str::parse::<Status>).transpose();
    let priority = params.priority.as_deref().map(str::parse::<Priority>).transpose();
    let filter = RowFilter {
        status: status.map_err(|e| bad(format!("status: {e}")))?,
        sync_type: params.sync_type,
        event_type: params.event_type,
        external_id: params.external_id,
        error_code: params.error_code,
        priority: priority.map_err(|_| bad("priority: use high, normal or low".into()))?,
        since: params.since,
        until: params.until,
    };
    // One more than asked for tells whether there is a next page.
    let mut rows = state.queue.rows(&filter, before, limit + 1).await?;
    let more = rows.len() as i64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| more).map(|row| row.id.to_string());
    let max_retries = state.quota().max_retries;
    let items: Vec<Value> = rows.iter().map(|row| view::row(row, max_retries)).collect();
    Ok(Json(json!({ "items": items, "next_cursor": next })))
}

/// The number of a row out of a path.
pub(super) fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_row", "there is no row of this number")
}

pub(super) async fn show(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let detail = state.queue.row(number(&id)?).await?.ok_or_else(unknown)?;
    let mut body = view::row(&detail.row, state.quota().max_retries);
    let record = serde_json::to_value(&detail.record).unwrap_or(Value::Null);
    body["payload"] = detail.payload.unwrap_or(Value::Null);
    body["attempts"] = json!(detail.attempts);
    body["record"] = record;
    body["record"]["associations"] = json!(detail.associations);
    Ok(Json(body))
}
