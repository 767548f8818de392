//! The row page: why a row waits, what happened to it, and its data.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::accepted::{Property, accepted_by, registers};
use super::failure::Failure;
use super::lines::RowLine;
use super::link;
use super::outlook::{Outlook, outlooks, sentence};
use super::page::{Notice, Page, Section, Visitor, page};
use super::timeline::{Step, timeline};
use super::when::exact;
use super::words::{priority, veiled};
use crate::access::Role;
use crate::http::AppState;
use crate::queue::actions::retry::OneRow;
use crate::queue::model::ADOPTED_RECORD;
use crate::queue::views::inspect::RowDetail;

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
    outlook: Option<Outlook>,
}

/// The result of an action on the row, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

impl Done {
    fn notice(&self) -> Option<Notice> {
        let text = match self.done.as_str() {
            "retried" => "The row is retried: it goes out as soon as its turn comes.",
            "discarded" => "The row is discarded. Put it back if that was a mistake.",
            "confirmed" => {
                "Confirmed: the record is erased in HubSpot and here as soon as its turn comes."
            }
            _ => return None,
        };
        Some(Notice { tone: "good", text: text.into() })
    }
}

/// `GET /admin/queue/{id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let detail = found(&state, &id).await?;
    whole(&state, &visitor, &detail, false, done.notice()).await
}

/// `POST /admin/queue/{id}/reveal`: shows the page with its values, after an entry in the audit
/// log.
pub(super) async fn reveal(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let detail = found(&state, &id).await?;
    let target = format!("row {}", detail.row.id);
    let deed = state.queue.note(visitor.now, visitor.name(), "reveal", Some(&target), json!({}));
    deed.await?;
    whole(&state, &visitor, &detail, true, None).await
}

/// `POST /admin/queue/{id}/retry`.
pub(super) async fn retry(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let id = number(&id)?;
    let outcome = state.queue.retry_one(id, visitor.name(), visitor.now).await?;
    state.forget().await;
    after(outcome, id, "retried")
}

/// `POST /admin/queue/{id}/confirm`: confirms that the erasure includes the adopted record.
pub(super) async fn confirm(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let id = number(&id)?;
    let outcome = state.queue.confirm_erasure(id, visitor.name(), visitor.now).await?;
    state.forget().await;
    after(outcome, id, "confirmed")
}

fn after(outcome: OneRow, id: i64, done: &str) -> Result<Response, Failure> {
    match outcome {
        OneRow::Done => {
            Ok(Redirect::to(&link::link(&link::row(id), [("done", done)])).into_response())
        }
        OneRow::Unknown => Err(unknown()),
        OneRow::Erased => Err(Failure::conflict(
            "Its subject was erased, so there is nothing to send. Discard the row.",
        )),
        OneRow::NotFailed => Err(Failure::conflict(
            "The row is not failed any more: only failed rows can be retried or discarded, and \
             discarded ones put back.",
        )),
    }
}

fn number(id: &str) -> Result<i64, Failure> {
    id.parse().map_err(|_| unknown())
}

fn unknown() -> Failure {
    Failure::unknown("There is no row of this number.")
}

async fn found(state: &AppState, id: &str) -> Result<RowDetail, Failure> {
    state.queue.row(number(id)?).await?.ok_or_else(unknown)
}

async fn whole(
    state: &AppState,
    visitor: &Visitor,
    detail: &RowDetail,
    revealed: bool,
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let why = state.queue.why(detail, visitor.now).await?;
    let why = why.into_iter().map(|why| match why.until {
        Some(until) => sentence(&format!("{} (until {})", why.text, exact(until))),
        None => sentence(&why.text),
    });
    let account = state.queue.account().await?;
    let object = state.mapping.object(&detail.row.sync_type);
    let hubspot = match (account.hubspot_portal_id, object, &detail.record.hubspot_id) {
        (Some(portal), Some(object), Some(id)) => Some(link::hubspot(portal, &object.type_id, id)),
        _ => None,
    };
    let row = RowLine::of(&detail.row, visitor, state);
    let payload = detail.payload.as_ref().map(|payload| {
        let shown = if revealed { payload.clone() } else { veiled(payload) };
        serde_json::to_string_pretty(&shown).unwrap_or_default()
    });
    let accepted = accepted_by(&registers(&detail.record)?, Some(detail.row.id), revealed, visitor);
    let outlook = match row.failed {
        true => outlooks(state, &[row.id], revealed).await?.into_iter().next(),
        false => None,
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
        facts: facts(detail, &row),
        hubspot,
        timeline: timeline(detail, visitor),
        warnings: warnings(detail.row.warnings.as_ref()),
        payload,
        revealed,
        accepted,
        outlook,
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
