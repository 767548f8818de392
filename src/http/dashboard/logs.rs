//! The log page: calls and attempts, newest first, and live.

use std::convert::Infallible;
use std::time::Duration;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use futures_util::StreamExt;
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::{Paging, options, some};
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::{Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::{When, millis};
use crate::http::dashboard::layout::words::Badge;
use crate::http::dashboard::rows::line::kinds;
use crate::operator::lists::{LogQuery, PageQuery};
use crate::operator::views::{LogCursor, LogLine};

const LINES: i64 = 100;
/// A stream ends after this time and the browser requests it again, so that it does not outlive its
/// session or a revoked key.
const LONGEST_STREAM: Duration = Duration::from_secs(300);
/// A call that has been running for less than this is left out. The live tail shows it when it
/// ends.
const ON_ITS_WAY: TimeDelta = TimeDelta::seconds(60);
const CLASSES: [&str; 5] = ["ok", "transient", "throttled", "rejected", "misconfigured"];

/// The filters of the log.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Filters {
    kind: String,
    sync_type: String,
    class: String,
    failures: String,
    cursor: String,
    /// For the stream: where the page ended.
    after: String,
}

impl Filters {
    fn set_fields(&self) -> [(&'static str, &str); 4] {
        [
            ("kind", &self.kind),
            ("sync_type", &self.sync_type),
            ("class", &self.class),
            ("failures", &self.failures),
        ]
    }

    fn query(&self) -> LogQuery {
        LogQuery {
            kind: some(&self.kind),
            sync_type: some(&self.sync_type),
            class: some(&self.class),
            failures: self.failures == "yes",
            since: None,
        }
    }
}

struct Line {
    /// Identifies the line on its page.
    id: String,
    at: When,
    what: String,
    row: Option<(i64, String)>,
    sync_type: String,
    class: Option<Badge>,
    status: String,
    took: String,
    message: String,
    correlation: String,
}

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    page: Page,
    /// Whether this page shows the newest lines.
    newest: bool,
    kinds: Vec<(&'static str, &'static str, bool)>,
    objects: Vec<(String, bool)>,
    classes: Vec<(String, bool)>,
    failures: bool,
    stream: String,
    lines: Vec<Line>,
    paging: Paging,
}

#[derive(Template)]
#[template(path = "log_line.html")]
struct Fragment {
    line: Line,
}

/// `GET /admin/logs`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(filters): Query<Filters>,
) -> Result<Response, Failure> {
    // Read before the page, so that no line is missed between the page and its stream.
    let begins = state.operator.end_of_log().await?.to_string();
    let part = PageQuery { limit: Some(LINES), cursor: some(&filters.cursor) };
    let listing = state.operator.logs(filters.query(), &part).await?;
    let newest = part.cursor.is_none();
    let to = |cursor: &str| {
        link::link("/admin/logs", filters.set_fields().into_iter().chain([("cursor", cursor)]))
    };
    let paging = Paging {
        newer: listing.prev.as_deref().map(to),
        older: listing.next.as_deref().map(to),
        first: to(""),
        newest,
        shown: String::new(),
    };
    let told_later =
        |line: &LogLine| newest && line.class.is_none() && visitor.now - line.at < ON_ITS_WAY;
    let lines = listing.items.into_iter().filter(|line| !told_later(line)).map(line).collect();
    let kind = |word: &'static str, label| (word, label, filters.kind == word);
    Ok(page(&LogsPage {
        page: Page::new(&visitor, Section::Logs, "Logs"),
        newest,
        kinds: vec![kind("call", "calls"), kind("attempt", "attempts")],
        objects: kinds(&state, &filters.sync_type),
        classes: options(CLASSES, &filters.class),
        failures: filters.failures == "yes",
        stream: link::link(
            "/admin/logs/stream",
            filters.set_fields().into_iter().chain([("after", begins.as_str())]),
        ),
        lines,
        paging,
    }))
}

/// `GET /admin/logs/stream`: sends each new line as a table row while the page is open.
pub(in crate::http::dashboard) async fn stream(
    State(state): State<AppState>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(filters): Query<Filters>,
) -> Result<Response, Failure> {
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let after = heard.unwrap_or(&filters.after).parse::<LogCursor>().ok();
    let (begins, lines) = state.operator.follow_log(filters.query(), after).await?;
    let left = (visitor.session.expires_at - visitor.now).to_std().unwrap_or_default();
    let ends = tokio::time::sleep(left.min(LONGEST_STREAM));
    let begins = Event::default().id(begins.to_string());
    let events = lines.take_until(Box::pin(ends)).map(|found| {
        let html = Fragment { line: line(found.line) }.render().unwrap_or_default();
        Ok::<_, Infallible>(Event::default().event("line").id(found.cursor).data(html))
    });
    let events = futures_util::stream::iter([Ok(begins)]).chain(events);
    let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
    // A proxy that buffers would delay the lines.
    let headers = response.headers_mut();
    headers.insert("x-accel-buffering", axum::http::HeaderValue::from_static("no"));
    Ok(response)
}

fn line(line: LogLine) -> Line {
    let what = match (line.kind.as_str(), line.inputs) {
        ("call", None | Some(0)) => line.purpose.unwrap_or_else(|| "call".into()),
        ("call", Some(1)) => format!("{}, 1 input", line.purpose.as_deref().unwrap_or("call")),
        ("call", Some(n)) => format!("{}, {n} inputs", line.purpose.as_deref().unwrap_or("call")),
        _ => "attempt of".into(),
    };
    let message = match (line.code, line.message) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (code, message) => message.or(code).unwrap_or_default(),
    };
    Line {
        id: format!("{}-{}", line.kind, line.number),
        at: When::bare(line.at),
        what,
        row: line.row_id.map(|id| (id, link::row(id))),
        sync_type: line.sync_type.unwrap_or_default(),
        class: line.class.as_deref().map(Badge::class),
        status: line.http_status.map(|status| status.to_string()).unwrap_or_default(),
        took: line.duration_ms.map(|ms| millis(ms.into())).unwrap_or_default(),
        message,
        correlation: line.correlation_id.unwrap_or_default(),
    }
}
