//! Retries or discards many rows: first a preview, then the action.

use askama::Template;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::{QueueForm, read};
use crate::http::dashboard::layout::link::{link, row};
use crate::http::dashboard::layout::page::{Page, Section, Visitor, page};
use crate::http::dashboard::rows::line::RowLine;
use crate::http::dashboard::rows::list::counted;
use crate::http::dashboard::rows::preview::{Preview, previews};
use crate::operator::bounds::COUNTED;
use crate::operator::rows::{RowQuery, Selection, Verb};
use crate::operator::views::Role;
use crate::operator::{OperatorError, Reveal};

#[derive(Template)]
#[template(path = "preview.html")]
struct PreviewPage {
    page: Page,
    verb: Verb,
    count: usize,
    count_text: String,
    chosen: String,
    /// The fields of the second form: the selected rows, or the filter.
    fields: Vec<(&'static str, String)>,
    back: String,
    samples: Vec<RowLine>,
    /// What a retry of the sample would send, or a discard would lose.
    previews: Vec<Preview>,
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
pub(in crate::http::dashboard) async fn retry(
    state: State<AppState>,
    visitor: Visitor,
    body: Bytes,
) -> Result<Response, Failure> {
    act(Verb::Retry, state, visitor, body).await
}

/// `POST /admin/queue/discard`.
pub(in crate::http::dashboard) async fn discard(
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
    let all = picked.all == "yes";
    let query = if all {
        form.query().map_err(OperatorError::Request)?
    } else {
        RowQuery { ids: Some(picked.id.clone()), ..RowQuery::default() }
    };
    let selection = Selection { query, all };
    if picked.confirm != "yes" {
        return preview(verb, &state, &visitor, &form, picked, selection).await;
    }
    let done = match verb {
        Verb::Retry => "retried",
        Verb::Discard => "discarded",
    };
    if let ([one], false, Verb::Discard) = (picked.id.as_slice(), all, verb) {
        state.operator.discard_row(&one.to_string(), visitor.actor()).await?;
        return Ok(Redirect::to(&link(&row(*one), [("done", done)])).into_response());
    }
    let outcome = state.operator.act_on_rows(verb, selection, visitor.actor()).await?;
    // The rows are no longer failed, so the link shows exactly these rows, whatever their status.
    let (number, at) = (outcome.rows.to_string(), outcome.at.to_rfc3339());
    let outcome = [("acted_at", at.as_str()), ("done", done), ("n", number.as_str())];
    Ok(Redirect::to(&link("/admin/queue", outcome)).into_response())
}

async fn preview(
    verb: Verb,
    state: &AppState,
    visitor: &Visitor,
    form: &QueueForm,
    picked: Picked,
    selection: Selection,
) -> Result<Response, Failure> {
    // The values are hidden, so the audit has nothing to say.
    let found = state.operator.preview_rows(verb, selection, Reveal::No).await?;
    let previews = previews(&found.records, false);
    let samples = found.sample.iter().map(|row| RowLine::of(row, visitor, state)).collect();
    let mut fields: Vec<(&'static str, String)> =
        form.set_fields().into_iter().map(|(key, value)| (key, value.to_owned())).collect();
    let chosen = if picked.all == "yes" {
        fields.push(("all", "yes".into()));
        let set = form.set_fields().into_iter().filter(|(key, _)| *key != "status");
        let set: Vec<String> = set.map(|(key, value)| format!("{key} = {value}")).collect();
        if set.is_empty() { "all failed rows".into() } else { set.join(", ") }
    } else {
        fields.extend(picked.id.iter().map(|id| ("id", id.to_string())));
        "selected by hand".into()
    };
    let count_text = counted(found.matching + i64::from(found.more), COUNTED);
    Ok(page(&PreviewPage {
        page: Page::new(visitor, Section::Queue, format!("{} {count_text}", verb.title())),
        verb,
        count: usize::try_from(found.matching).unwrap_or(0),
        count_text,
        chosen,
        fields,
        back: form.href(),
        samples,
        previews,
    }))
}
