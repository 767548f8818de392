//! `/admin/sync/logs`: calls to HubSpot and failed attempts, in pages and live.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::types::PageOf;
use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::lists::{LogQuery, PageQuery};
use crate::operator::views::{LogCursor, LogLine};

/// A call, or a counted attempt of a row that did not succeed.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogItem {
    /// `call` or `attempt`.
    #[schema(example = "call")]
    kind: String,
    /// When the call was sent, or when the attempt ended.
    at: DateTime<Utc>,
    /// The number of the call.
    call_id: Option<i64>,
    /// What the call was for.
    #[schema(example = "upsert contacts")]
    purpose: Option<String>,
    /// The object kind.
    sync_type: Option<String>,
    /// The number of inputs in the call's body.
    inputs: Option<i32>,
    /// The status of the reply; `null` if there was none, or not yet.
    http_status: Option<i32>,
    /// The time from sending to the reply.
    duration_ms: Option<i32>,
    /// `ok`, or who is responsible for the failure. `null` while the call is running.
    class: Option<String>,
    /// The error code.
    code: Option<String>,
    /// What happened, without personal data.
    message: Option<String>,
    /// HubSpot's id of the call.
    correlation_id: Option<String>,
    /// The number of the row, as text, for an attempt.
    row_id: Option<String>,
}

impl From<LogLine> for LogItem {
    fn from(line: LogLine) -> Self {
        Self {
            kind: line.kind,
            at: line.at,
            call_id: line.call_id,
            purpose: line.purpose,
            sync_type: line.sync_type,
            inputs: line.inputs,
            http_status: line.http_status,
            duration_ms: line.duration_ms,
            class: line.class,
            code: line.code,
            message: line.message,
            correlation_id: line.correlation_id,
            row_id: line.row_id.map(|id| id.to_string()),
        }
    }
}

/// Filters for the log. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogParams {
    /// `call` or `attempt`.
    kind: Option<String>,
    /// The object kind.
    sync_type: Option<String>,
    /// `ok`, `transient`, `throttled` …
    class: Option<String>,
    /// Whether to return only failures.
    #[serde(default)]
    failures: bool,
    /// At or after (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// The most lines to return, 1 to 500. Default: 50. Not for the stream.
    limit: Option<i64>,
    /// A `next_cursor` or `prev_cursor` from an earlier answer. Not for the stream.
    cursor: Option<String>,
}

impl LogParams {
    fn query(self) -> (LogQuery, PageQuery) {
        let page = PageQuery { limit: self.limit, cursor: self.cursor };
        let Self { kind, sync_type, class, failures, since, .. } = self;
        (LogQuery { kind, sync_type, class, failures, since }, page)
    }
}

/// List calls to HubSpot and failed attempts, newest first.
#[utoipa::path(get, path = "/logs", tag = "logs", params(LogParams),
    responses((status = 200, body = PageOf<LogItem>), (status = 400, body = ProblemBody)))]
pub(super) async fn list(
    _: Viewer,
    State(state): State<AppState>,
    Params(params): Params<LogParams>,
) -> Result<Json<PageOf<LogItem>>, Problem> {
    let (query, page) = params.query();
    let lines = state.operator.logs(query, &page).await?;
    Ok(Json(PageOf::of(lines, LogItem::from)))
}

/// A stream ends after this time and the client reconnects, so that a revoked key loses access.
/// Clients continue after their last line by themselves.
const LIFE: Duration = Duration::from_secs(300);
/// A silent stream sends a comment this often, so that proxies keep it open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Follow the log live, as server-sent events `call` and `attempt`. The first event has an id and
/// no data: it marks where the stream begins. `Last-Event-ID` continues after an id. Lines may be
/// repeated after that.
#[utoipa::path(get, path = "/logs/stream", tag = "logs", params(LogParams),
    responses((status = 200, content_type = "text/event-stream", body = String),
              (status = 503, body = ProblemBody)))]
pub(super) async fn stream(
    _: Viewer,
    State(state): State<AppState>,
    headers: HeaderMap,
    Params(params): Params<LogParams>,
) -> Result<impl IntoResponse, Problem> {
    let after = headers.get("last-event-id").and_then(|v| v.to_str().ok());
    let after = after.map(str::parse::<LogCursor>).transpose();
    let after = after.map_err(|error| Problem::query(format!("last-event-id: {error}")))?;
    let (query, _) = params.query();
    let (begins, lines) = state.operator.follow_log(query, after).await?;
    let lines = lines.take_until(Box::pin(tokio::time::sleep(LIFE)));
    let begins = Event::default().id(begins.to_string());
    let events = lines.map(|found| {
        let kind = found.line.kind.clone();
        let event = Event::default().event(kind).id(found.cursor);
        let event = event.json_data(LogItem::from(found.line));
        Ok::<_, Infallible>(
            event.unwrap_or_else(|_| Event::default().comment("a line that cannot be written")),
        )
    });
    let events = futures_util::stream::iter([Ok(begins)]).chain(events);
    let stream = Sse::new(events).keep_alive(KeepAlive::new().interval(HEARTBEAT));
    // A proxy that buffers the stream would delay it.
    Ok(([("x-accel-buffering", "no")], stream))
}
