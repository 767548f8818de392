//! `GET /v1/events/{id}` and `POST /v1/event-status`: the status of events.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::AppState;
use crate::http::admin::types::RowError;
use crate::http::auth::IngestKey;
use crate::http::extract::{JsonBody, Params};
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::views::list::RowView;

/// The most events in one request.
const MOST: usize = 1_000;

/// Names the event.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventParams {
    /// The event's source. Default: the setting `ingest.default_source`.
    #[param(example = "safebill/backend")]
    source: Option<String>,
}

/// The status of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    id: String,
    source: String,
    /// The rows of the event, one for each record.
    rows: Vec<EventRow>,
}

/// The status of one row of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventRow {
    /// The number of the row, as text.
    id: String,
    /// The object kind.
    sync_type: String,
    /// The output of the mapping file that made the change.
    output: String,
    /// The application's id of the entity.
    external_id: String,
    /// `pending`, `processing`, `synced`, `retry` or `failed`.
    status: String,
    /// When the row is due; `null` once it is done.
    scheduled_at: Option<DateTime<Utc>>,
    /// When the row was done.
    processed_at: Option<DateTime<Utc>>,
    /// What the row waits for, if something has not arrived yet.
    waiting_for: Option<String>,
    /// Why the row failed or is retried.
    error: Option<RowError>,
}

impl From<RowView> for EventRow {
    fn from(row: RowView) -> Self {
        Self {
            error: RowError::of(&row),
            id: row.id.to_string(),
            sync_type: row.sync_type,
            output: row.output,
            external_id: row.external_id,
            status: row.status,
            scheduled_at: row.scheduled_at,
            processed_at: row.processed_at,
            waiting_for: row.waiting_reason,
        }
    }
}

/// Show the status of an event.
#[utoipa::path(get, path = "/v1/events/{id}", tag = "events",
    params(("id" = String, Path, example = "evt-1"), EventParams),
    responses((status = 200, body = EventView), (status = 404, body = ProblemBody)))]
pub async fn show_event(
    _: IngestKey,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(params): Params<EventParams>,
) -> Result<Json<EventView>, Problem> {
    let source = params.source.unwrap_or_else(|| state.ingest.default_source.clone());
    let rows = state.operator.event_rows(&source, &id).await?.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_event",
            "no event has this id and source; name its source with ?source=",
        )
    })?;
    Ok(Json(EventView { id, source, rows: rows.into_iter().map(EventRow::from).collect() }))
}

/// The events to look up: up to 1,000.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"events": [{"id": "evt-1", "source": "safebill/backend"}, {"id": "evt-2"}]}))]
pub struct EventStatusRequest {
    /// The events, each with its id and source.
    #[schema(max_items = 1_000)]
    events: Vec<EventName>,
}

/// Identifies an event.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EventName {
    id: String,
    /// The event's source. Default: the setting `ingest.default_source`.
    source: Option<String>,
}

/// The status of the events, in the order of the request.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventStatusAnswer {
    events: Vec<EventStatus>,
}

/// The status of one of several events.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventStatus {
    id: String,
    source: String,
    /// Whether the event is known. An event that was done long ago may have been deleted.
    known: bool,
    /// The rows of the event, one for each record.
    rows: Vec<EventRow>,
}

/// Show the status of many events.
#[utoipa::path(post, path = "/v1/event-status", tag = "events",
    request_body = EventStatusRequest,
    responses((status = 200, body = EventStatusAnswer), (status = 400, body = ProblemBody)))]
pub async fn event_status(
    _: IngestKey,
    State(state): State<AppState>,
    JsonBody(request): JsonBody<EventStatusRequest>,
) -> Result<Json<EventStatusAnswer>, Problem> {
    if request.events.len() > MOST {
        let detail = format!("events: at most {MOST} in one request; send several requests");
        return Err(Problem::body(detail));
    }
    let default = &state.ingest.default_source;
    let names: Vec<(String, String)> = request
        .events
        .into_iter()
        .map(|event| (event.source.unwrap_or_else(|| default.clone()), event.id))
        .collect();
    let rows = state.operator.rows_of_events(&names).await?;
    let events = names.into_iter().zip(rows).map(|((source, id), rows)| EventStatus {
        id,
        source,
        known: rows.is_some(),
        rows: rows.into_iter().flatten().map(EventRow::from).collect(),
    });
    Ok(Json(EventStatusAnswer { events: events.collect() }))
}
