//! `GET /admin/sync/queue` and `/queue/{id}`: the rows of the queue.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::types::{Association, Attempt, PageOf, PageParams, Record, Row, WhyLine};
use crate::access::Role;
use crate::event::Priority;
use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;

/// Filters for the rows. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// `pending`, `processing`, `synced`, `retry` or `failed`.
    #[param(example = "failed")]
    status: Option<String>,
    /// The object kind.
    #[param(example = "contact")]
    sync_type: Option<String>,
    /// The event's type, such as `user.updated`.
    event_type: Option<String>,
    /// The application's id of the entity.
    external_id: Option<String>,
    /// The error code.
    error_code: Option<String>,
    /// The property at fault. Empty: the error names no property.
    error_property: Option<String>,
    /// `high`, `normal` or `low`.
    priority: Option<String>,
    /// Accepted at or after this time (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// Accepted before this time (RFC 3339).
    until: Option<DateTime<Utc>>,
    /// An external id, an event id, an e-mail address or its SHA-256, an error code, or words of an
    /// error's message.
    q: Option<String>,
    /// The most rows to return, 1 to 500. Default: 50.
    limit: Option<i64>,
    /// A `next_cursor` or `prev_cursor` from an earlier answer.
    cursor: Option<String>,
}

/// Returns the search text, or refuses one that is longer than any possible match.
pub(super) fn short(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.chars().count() > 600 => {
            Err(Problem::query("q: must have at most 600 characters"))
        }
        text => Ok(text),
    }
}

/// Parses the name of a priority.
pub(super) fn priority(text: Option<&str>) -> Result<Option<Priority>, Problem> {
    let parsed = text.map(str::parse::<Priority>).transpose();
    parsed.map_err(|_| Problem::query("priority: use high, normal or low"))
}

/// List rows, newest first.
#[utoipa::path(get, path = "/queue", tag = "queue", params(ListParams),
    responses((status = 200, body = PageOf<Row>), (status = 400, body = ProblemBody)))]
pub(super) async fn list(
    _: Viewer,
    State(state): State<AppState>,
    Params(params): Params<ListParams>,
) -> Result<Json<PageOf<Row>>, Problem> {
    let page = PageParams { limit: params.limit, cursor: params.cursor }.page()?;
    let status = params.status.as_deref().map(str::parse::<Status>).transpose();
    let filter = RowFilter {
        status: status.map_err(|e| Problem::query(format!("status: {e}")))?,
        sync_type: params.sync_type,
        event_type: params.event_type,
        external_id: params.external_id,
        error_code: params.error_code,
        error_property: params.error_property,
        priority: priority(params.priority.as_deref())?,
        since: params.since,
        until: params.until,
        acted_at: None,
        ids: None,
        retryable: false,
        search: short(params.q)?,
    };
    let rows = state.queue.rows(&filter, &page).await?;
    Ok(Json(PageOf::of(rows, |row| Row::of(row, state.quota().max_retries))))
}

/// Parses the number of a row in a path.
pub(super) fn number(id: &str) -> Result<i64, Problem> {
    id.parse().map_err(|_| unknown())
}

pub(super) fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "unknown_row", "there is no row of this number")
}

/// A row with its payload, attempts and record.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RowDetail {
    #[serde(flatten)]
    row: Row,
    /// The event's data. `null` once it is erased, or if the key may not read payloads.
    payload: Option<Value>,
    /// Whether the payload is hidden from this key.
    payload_hidden: bool,
    /// The attempts that did not succeed, oldest first.
    attempts: Vec<Attempt>,
    /// Why the row, or an association of its record, is not in HubSpot yet. The most direct reason
    /// comes first.
    why: Vec<WhyLine>,
    record: RecordOfRow,
}

/// The record of a row, with its associations.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordOfRow {
    #[serde(flatten)]
    record: Record,
    associations: Vec<Association>,
}

/// Show a row, its payload, its attempts, its record, and why it waits.
#[utoipa::path(get, path = "/queue/{id}", tag = "queue",
    params(("id" = String, Path, description = "The row's number", example = "1")),
    responses((status = 200, body = RowDetail), (status = 404, body = ProblemBody)))]
pub(super) async fn show(
    Viewer(actor): Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<RowDetail>, Problem> {
    let detail = state.queue.row(number(&id)?).await?.ok_or_else(unknown)?;
    let now = state.queue.now().await?;
    let why = state.queue.why(&detail, now).await?;
    let values = actor.role.may(Role::Operator);
    if values {
        let targets = [format!("row {}", detail.row.id)];
        state.queue.note_reads(now, &actor.name, &targets).await?;
    }
    Ok(Json(RowDetail {
        row: Row::of(detail.row, state.quota().max_retries),
        payload_hidden: !values && detail.payload.is_some(),
        payload: detail.payload.filter(|_| values),
        attempts: detail.attempts.into_iter().map(Attempt::from).collect(),
        why: why.into_iter().map(WhyLine::from).collect(),
        record: RecordOfRow {
            record: Record::of(detail.record, values),
            associations: detail.associations.into_iter().map(Association::from).collect(),
        },
    }))
}
