//! Retries or discards many rows: first a preview, then the action.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use super::failure::Failure;
use super::forms::{QueueForm, read};
use super::lines::RowLine;
use super::link::{link, row};
use super::outlook::{Outlook, outlooks};
use super::page::{Page, Section, Visitor, page};
use super::queue::counted;
use crate::access::Role;
use crate::http::AppState;
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page as Part;

/// The number of sample rows in the preview.
const SAMPLES: i64 = 5;
/// Counting stops here. It may take a moment, because the person is about to act on many rows.
const MOST: i64 = 1_000_000;
/// The most rows that can be selected one by one.
const MOST_PICKED: usize = 500;

/// The action on the rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Retry,
    Discard,
}

impl Verb {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Discard => "Discard",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Retry => {
                "Their counts start again and they go out as soon as their turn comes. What newer \
                 events have brought since is never overwritten."
            }
            Self::Discard => {
                "HubSpot does not get what these rows bring: it is listed below, row by row, as \
                 “goes out”. They are not counted and not retried any more. Each can be put back on \
                 its own page for as long as its event is kept."
            }
        }
    }

    pub(super) fn is_final(self) -> bool {
        self == Self::Discard
    }
}

#[derive(Template)]
#[template(path = "preview.html")]
struct Preview {
    page: Page,
    verb: Verb,
    count: usize,
    count_text: String,
    chosen: String,
    /// The fields of the second form: the selected rows, or the filter.
    kept: Vec<(&'static str, String)>,
    back: String,
    samples: Vec<RowLine>,
    /// What a retry of the sample would send, or a discard would lose.
    outlooks: Vec<Outlook>,
}

/// The selected rows, and whether the action was confirmed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Picked {
    id: Vec<i64>,
    all: String,
    confirm: String,
}

/// `POST /admin/queue/retry`.
pub(super) async fn retry(
    state: State<AppState>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, Failure> {
    act(Verb::Retry, state, visitor, body).await
}

/// `POST /admin/queue/discard`.
pub(super) async fn discard(
    state: State<AppState>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, Failure> {
    act(Verb::Discard, state, visitor, body).await
}

async fn act(
    verb: Verb,
    State(state): State<AppState>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let (form, picked): (QueueForm, Picked) = (read(&body).await?, read(&body).await?);
    if picked.id.len() > MOST_PICKED {
        let detail = format!("At most {MOST_PICKED} rows can be picked one by one; use a filter.");
        return Err(Failure::invalid(detail));
    }
    let all = picked.all == "yes";
    let filter = if all {
        RowFilter { status: Some(Status::Failed), ..form.filter().map_err(Failure::invalid)? }
    } else {
        RowFilter {
            ids: Some(picked.id.clone()),
            status: Some(Status::Failed),
            ..RowFilter::default()
        }
    };
    if picked.confirm != "yes" {
        return preview(verb, &state, &visitor, &form, picked, &filter).await;
    }
    let (name, now) = (visitor.name(), visitor.now);
    let (done, rows) = match verb {
        Verb::Retry => ("retried", state.queue.retry_failed(&filter, name, now).await?),
        Verb::Discard => ("discarded", state.queue.discard_failed(&filter, name, now).await?),
    };
    state.forget().await;
    if let ([one], false, Verb::Discard) = (picked.id.as_slice(), all, verb) {
        return Ok(Redirect::to(&link(&row(*one), [("done", done)])).into_response());
    }
    // The rows are no longer failed, so the link shows exactly these rows, whatever their status.
    let (number, at) = (rows.to_string(), now.to_rfc3339());
    let told = [("acted_at", at.as_str()), ("done", done), ("n", number.as_str())];
    Ok(Redirect::to(&link("/admin/queue", told)).into_response())
}

async fn preview(
    verb: Verb,
    state: &AppState,
    visitor: &Visitor,
    form: &QueueForm,
    picked: Picked,
    filter: &RowFilter,
) -> Result<Response, Failure> {
    let filter = &RowFilter { retryable: matches!(verb, Verb::Retry), ..filter.clone() };
    let count = state.queue.count_rows(filter, MOST + 1).await?;
    let sample = state.queue.rows(filter, &Part::newest(SAMPLES)).await?;
    let ids: Vec<i64> = sample.items.iter().map(|row| row.id).collect();
    // A discard loses what a retry would send.
    let outlooks = outlooks(state, &ids, false).await?;
    let samples = sample.items.iter().map(|row| RowLine::of(row, visitor, state)).collect();
    let mut kept: Vec<(&'static str, String)> =
        form.kept().into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    let chosen = if picked.all == "yes" {
        kept.push(("all", "yes".into()));
        let set = form.kept().into_iter().filter(|(key, _)| *key != "status");
        let set: Vec<String> = set.map(|(key, value)| format!("{key} = {value}")).collect();
        if set.is_empty() { "all failed rows".into() } else { set.join(", ") }
    } else {
        kept.extend(picked.id.iter().map(|id| ("id", id.to_string())));
        "hand".into()
    };
    let count_text = counted(count, MOST);
    Ok(page(&Preview {
        page: Page::new(visitor, Section::Queue, format!("{} {count_text}", verb.title())),
        verb,
        count: usize::try_from(count).unwrap_or(0),
        count_text,
        chosen,
        kept,
        back: form.href(),
        samples,
        outlooks,
    }))
}
