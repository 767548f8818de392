//! `/admin/sync/logs`: calls to HubSpot and tries that did not succeed, in pages and live.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::types::{PageOf, PageParams};
use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::views::logs::{LogCursor, LogFilter, LogLine};

/// A call, or a counted try of a row that did not succeed.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogItem {
    /// `call` or `attempt`.
    #[schema(example = "call")]
    kind: String,
    /// When the call was sent; when the try ended.
    at: DateTime<Utc>,
    /// The call's number.
    call_id: Option<i64>,
    /// What the call was for.
    #[schema(example = "upsert contacts")]
    purpose: Option<String>,
    /// The object kind.
    sync_type: Option<String>,
    /// Inputs in the call's body.
    inputs: Option<i32>,
    /// The reply's status; `null`: there was no reply, or there is none yet.
    http_status: Option<i32>,
    /// From send to reply.
    duration_ms: Option<i32>,
    /// `ok`, or whose fault it was; `null` while the call is on its way.
    class: Option<String>,
    /// The error's code.
    code: Option<String>,
    /// What happened, without personal data.
    message: Option<String>,
    /// HubSpot's id of the call.
    correlation_id: Option<String>,
    /// The row of the try, as text.
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

/// Which lines; what is left out means any.
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
    /// Only what did not succeed.
    #[serde(default)]
    failures: bool,
    /// At or after (RFC 3339).
    since: Option<DateTime<Utc>>,
    /// At most so many, 1 to 500; 50 without. Not for the stream.
    limit: Option<i64>,
    /// A `next_cursor` or `prev_cursor` as it came. Not for the stream.
    cursor: Option<String>,
}

impl LogParams {
    fn filter(&self) -> Result<LogFilter, Problem> {
        if self.kind.as_deref().is_some_and(|kind| !["call", "attempt"].contains(&kind)) {
            return Err(Problem::query("kind: use call or attempt"));
        }
        Ok(LogFilter {
            kind: self.kind.clone(),
            sync_type: self.sync_type.clone(),
            class: self.class.clone(),
            failures: self.failures,
            since: self.since,
        })
    }
}

fn cursor(text: Option<&str>) -> Result<Option<LogCursor>, Problem> {
    let parsed = text.map(str::parse).transpose();
    parsed.map_err(|error| Problem::query(format!("cursor: {error}")))
}

/// Calls to HubSpot and tries of rows that did not succeed, newest first.
#[utoipa::path(get, path = "/logs", tag = "logs", params(LogParams),
    responses((status = 200, body = PageOf<LogItem>), (status = 400, body = ProblemBody)))]
pub(super) async fn list(
    _: Viewer,
    State(state): State<AppState>,
    Params(params): Params<LogParams>,
) -> Result<Json<PageOf<LogItem>>, Problem> {
    let limit = PageParams { limit: params.limit, cursor: None }.limit()?;
    let cursor = cursor(params.cursor.as_deref())?;
    let lines = state.queue.logs(&params.filter()?, cursor, limit).await?;
    Ok(Json(PageOf::of(lines, LogItem::from)))
}

/// A stream ends after so long: who may no longer look finds out when he asks again. Watchers go on
/// behind their last line by themselves.
const LIFE: Duration = Duration::from_secs(300);
/// A silent stream says so every fifteen seconds, so that proxies keep it open.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The same live, as server-sent events `call` and `attempt`. The first event has an id and no
/// data: it says where the stream begins. `Last-Event-ID` goes on behind an id; what follows may
/// repeat lines.
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
    let after = cursor(after)?.map(|cursor| LogCursor { newer: true, ..cursor });
    let (begins, lines) = state.tail.follow(params.filter()?, after).await?.ok_or_else(|| {
        let detail = "too many watch this process already; try again later";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_streams", detail)
    })?;
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
    // A proxy that gathers what it passes on would make it anything but live.
    Ok(([("x-accel-buffering", "no")], stream))
}
