//! The record page: link, accepted values, associations and history.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::{Notice, Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::layout::words::Badge;
use crate::http::dashboard::records::accepted::{Property, accepted_by, registers};
use crate::http::dashboard::records::list::{in_hubspot, state_of};
use crate::http::dashboard::rows::line::RowLine;
use crate::operator::records::RecordDetail;
use crate::operator::views::{AssociationView, RecordView, Role};
use crate::operator::{OperatorError, Reveal};

/// The number of rows in the history.
const ROWS: i64 = 20;

struct Association {
    slot: String,
    target: Option<(String, String)>,
    state: Badge,
    why: &'static str,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordPage {
    page: Page,
    sync_type: String,
    external_id: String,
    href: String,
    state: Badge,
    hubspot: Option<(String, Option<String>)>,
    times: Vec<(&'static str, When)>,
    facts: Vec<(&'static str, String)>,
    /// Whether there is anything to send again.
    resyncs: bool,
    /// Whether an erasure was requested, which can be lifted once it has ended.
    erased: bool,
    associations: Vec<Association>,
    accepted: Vec<Property>,
    revealed: bool,
    rows: Vec<RowLine>,
    all_rows: String,
}

/// The result of an action on the record, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Done {
    done: String,
}

/// `GET /admin/records/{sync_type}/{external_id}`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let found = state.operator.record(&sync_type, &external_id, ROWS, Reveal::No).await?;
    let (tone, text) = match done.done.as_str() {
        "resync" => ("good", "All values of the record are sent again as soon as its turn comes."),
        "nothing" => ("warn", NOTHING),
        "allowed" => ("good", "Events of this subject are accepted again."),
        _ => ("", ""),
    };
    let notice = (!tone.is_empty()).then(|| Notice { tone, text: text.into() });
    whole(&state, &visitor, found, false, notice).await
}

/// `POST …/reveal`: shows the page with its values, after an entry in the audit log.
pub(in crate::http::dashboard) async fn reveal(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let reveal = Reveal::ToPerson(visitor.actor());
    let found = state.operator.record(&sync_type, &external_id, ROWS, reveal).await?;
    whole(&state, &visitor, found, true, None).await
}

/// Why a resync has nothing to send.
const NOTHING: &str = "There is nothing to send again: HubSpot has accepted nothing of this record \
                       yet, or it was erased, deleted or merged into another. Failed rows are retried \
                       on their own pages.";

/// `POST …/resync`.
pub(in crate::http::dashboard) async fn resync(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let resynced = state.operator.resync_record(&sync_type, &external_id, visitor.actor()).await;
    let done = match resynced {
        Ok(()) => "resync",
        // The page explains it better than an error does.
        Err(OperatorError::NothingToResync) => "nothing",
        Err(error) => return Err(error.into()),
    };
    let page = link::record(&sync_type, &external_id);
    Ok(Redirect::to(&link::link(&page, [("done", done)])).into_response())
}

/// `POST …/allow`: lifts the erasure.
pub(in crate::http::dashboard) async fn allow(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.operator.allow_record(&sync_type, &external_id, visitor.actor()).await?;
    let page = link::record(&sync_type, &external_id);
    Ok(Redirect::to(&link::link(&page, [("done", "allowed")])).into_response())
}

async fn whole(
    state: &AppState,
    visitor: &Visitor,
    found: RecordDetail,
    revealed: bool,
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let RecordDetail { record, associations, rows } = found;
    let (sync_type, external_id) = (record.sync_type.clone(), record.external_id.clone());
    let portal = state.operator.portal_id().await?;
    let href = link::record(&sync_type, &external_id);
    let mut frame =
        Page::new(visitor, Section::Records, format!("{sync_type} {external_id}")).with(notice);
    frame.here.clone_from(&href);
    let narrowed = [("sync_type", sync_type.as_str()), ("external_id", external_id.as_str())];
    let all_rows = link::link("/admin/queue", narrowed);
    Ok(page(&RecordPage {
        page: frame,
        href,
        state: state_of(&record),
        hubspot: in_hubspot(state, portal, &record),
        times: times(&record, visitor),
        facts: facts(&record),
        resyncs: record.can_resync(),
        erased: record.erased_at.is_some(),
        associations: associations.iter().map(association).collect(),
        accepted: accepted_by(&registers(&record)?, None, revealed, visitor),
        revealed,
        rows: rows.iter().map(|row| RowLine::of(row, visitor, state)).collect(),
        all_rows,
        sync_type,
        external_id,
    }))
}

fn times(record: &RecordView, visitor: &Visitor) -> Vec<(&'static str, When)> {
    let all = [
        ("First event", Some(record.created_at)),
        ("Last written", record.synced_at),
        ("Due", record.due_at),
        ("Backoff until", record.backoff_until),
        ("Waits until", record.waiting_until),
        ("Leased until", record.lease_until),
        ("Adopted", record.adopted_at),
        ("Deleted", record.deleted_at),
        ("Erasure requested", record.erased_at),
    ];
    all.into_iter().filter_map(|(name, at)| Some((name, visitor.full(at?)))).collect()
}

fn facts(record: &RecordView) -> Vec<(&'static str, String)> {
    let doubt = "HubSpot may have other values than it accepted: the next call sends all values";
    let failures = record.failures;
    let all = [
        ("Next call", record.stage.clone().filter(|_| record.due_at.is_some())),
        ("Waits for", record.waiting_reason.clone()),
        ("Leased by", record.lease_holder.clone()),
        ("Merged into", record.merged_into.clone()),
        ("Adopted by", record.adopted_by.map(|row| format!("row {row}; HubSpot had it before"))),
        ("In doubt", record.uncertain.then(|| doubt.to_owned())),
        ("Resync", record.resyncing.then(|| "the next call sends all values".to_owned())),
        ("Failures in a row", (failures > 0).then(|| failures.to_string())),
    ];
    all.into_iter().filter_map(|(name, text)| Some((name, text?))).collect()
}

fn association(view: &AssociationView) -> Association {
    let target = view.target_type.as_deref().zip(view.target.as_deref());
    Association {
        slot: view.slot.clone(),
        target: target.map(|(kind, id)| (format!("{kind} {id}"), link::record(kind, id))),
        state: Badge::association(&view.state),
        why: match view.state.as_str() {
            "parked" => "waits until the other record exists in HubSpot",
            "due" => "is sent with one of the next calls",
            "refused" => "HubSpot refused this pair: retry its row or send another target",
            _ => "",
        },
    }
}
