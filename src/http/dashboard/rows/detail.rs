//! The row page: why a row waits, what happened to it, and its data.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::{Notice, Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::exact;
use crate::http::dashboard::layout::words::{priority, sentence, veiled};
use crate::http::dashboard::records::accepted::{Property, accepted_by, registers};
use crate::http::dashboard::rows::line::RowLine;
use crate::http::dashboard::rows::preview::{Preview, previews};
use crate::http::dashboard::rows::timeline::{Step, timeline};
use crate::operator::Reveal;
use crate::operator::rows::RowAndReasons;
use crate::operator::views::{ADOPTED_RECORD, Role, RowDetail};

#[derive(Template)]
#[template(path = "row.html")]
struct RowPage {
    page: Page,
    row: RowLine,
    /// Whether the record can be sent again.
    resyncs: bool,
    /// Whether it is an erasure that a person must confirm.
    asks: bool,
    /// Whether the row is still in progress, so that the page refreshes itself.
    live: bool,
    why: Vec<String>,
    /// The property at fault.
    property: Option<String>,
    facts: Vec<(&'static str, String)>,
    hubspot: Option<String>,
    timeline: Vec<Step>,
    warnings: Vec<String>,
    payload: Option<String>,
    revealed: bool,
    accepted: Vec<Property>,
    /// The preview of a retry, for a failed row.
    preview: Option<Preview>,
}

/// The result of an action on the row, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Done {
    done: String,
}

impl Done {
    fn notice(&self) -> Option<Notice> {
        let text = match self.done.as_str() {
            "retried" => "The row is retried: it is sent as soon as its turn comes.",
            "discarded" => "The row is discarded. Restore it if that was a mistake.",
            "confirmed" => {
                "Confirmed: the record is erased in HubSpot and here as soon as its turn comes."
            }
            _ => return None,
        };
        Some(Notice { tone: "good", text: text.into() })
    }
}

/// `GET /admin/queue/{id}`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let found = state.operator.row(&id, Reveal::No).await?;
    whole(&state, &visitor, found, false, done.notice()).await
}

/// `POST /admin/queue/{id}/reveal`: shows the page with its values, after an entry in the audit
/// log.
pub(in crate::http::dashboard) async fn reveal(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let found = state.operator.row(&id, Reveal::ToPerson(visitor.actor())).await?;
    whole(&state, &visitor, found, true, None).await
}

/// `POST /admin/queue/{id}/retry`.
pub(in crate::http::dashboard) async fn retry(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.operator.retry_row(&id, visitor.actor()).await?;
    Ok(after(&id, "retried"))
}

/// `POST /admin/queue/{id}/confirm`: confirms that the erasure includes the adopted record.
pub(in crate::http::dashboard) async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.operator.confirm_erasure(&id, visitor.actor()).await?;
    Ok(after(&id, "confirmed"))
}

/// Leads back to the row's page, which tells what was done.
fn after(id: &str, done: &str) -> Response {
    Redirect::to(&link::link(&format!("/admin/queue/{id}"), [("done", done)])).into_response()
}

async fn whole(
    state: &AppState,
    visitor: &Visitor,
    found: RowAndReasons,
    revealed: bool,
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let RowAndReasons { detail, why } = found;
    let why = why.into_iter().map(|why| match why.until {
        Some(until) => sentence(&format!("{} (until {})", why.text, exact(until))),
        None => sentence(&why.text),
    });
    let portal = state.operator.portal_id().await?;
    let object = state.operator.mapping().object(&detail.row.sync_type);
    let hubspot = match (portal, object, &detail.record.hubspot_id) {
        (Some(portal), Some(object), Some(id)) => Some(link::hubspot(portal, &object.type_id, id)),
        _ => None,
    };
    let row = RowLine::of(&detail.row, visitor, state);
    let payload = detail.payload.as_ref().map(|payload| {
        let shown = if revealed { payload.clone() } else { veiled(payload) };
        serde_json::to_string_pretty(&shown).unwrap_or_default()
    });
    let accepted = accepted_by(&registers(&detail.record)?, Some(detail.row.id), revealed, visitor);
    let preview = if row.failed {
        let records = state.operator.previews_of_rows(&[row.id]).await?;
        previews(&records, revealed).into_iter().next()
    } else {
        None
    };
    let mut page_of = Page::new(visitor, Section::Queue, format!("Row {}", row.id)).with(notice);
    page_of.here = row.href.clone();
    Ok(page(&RowPage {
        page: page_of,
        resyncs: detail.record.can_resync(),
        asks: row.failed && row.code.as_deref() == Some(ADOPTED_RECORD),
        live: !revealed && matches!(&*detail.row.status, "pending" | "processing" | "retry"),
        why: why.collect(),
        property: detail.row.error_property.clone(),
        facts: facts(&detail, &row),
        hubspot,
        timeline: timeline(&detail, visitor),
        warnings: warnings(detail.row.warnings.as_ref()),
        payload,
        revealed,
        accepted,
        preview,
        row,
    }))
}

fn facts(detail: &RowDetail, line: &RowLine) -> Vec<(&'static str, String)> {
    let row = &detail.row;
    let mut facts = vec![
        ("Event", format!("{} ({})", row.event_id, row.event_source)),
        ("Type", row.event_type.clone()),
        ("Operation", row.operation.clone()),
        ("Priority", priority(row.priority).into()),
        ("Failed attempts", detail.attempts.len().to_string()),
        ("Retries used", line.retries.clone()),
        ("Happened", exact(row.occurred_at)),
    ];
    // The only output of a mapping file is named after the object kind, which the page names anyway.
    facts.extend((row.output != row.sync_type).then(|| ("Output", row.output.clone())));
    facts.extend(row.traceparent.clone().map(|trace| ("Trace", trace)));
    facts
}

/// Returns the warnings of a row as sentences.
fn warnings(stored: Option<&Value>) -> Vec<String> {
    let list = stored.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    list.iter()
        .map(|warning| match text(warning, "property").as_str() {
            "" => text(warning, "message"),
            property => format!("{property}: {}", text(warning, "message")),
        })
        .collect()
}
