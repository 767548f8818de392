//! The record page: link, accepted values, associations and history.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use serde_json::json;

use super::accepted::{Property, accepted_by, registers};
use super::failure::Failure;
use super::lines::RowLine;
use super::link;
use super::page::{Notice, Page, Section, Visitor, page};
use super::records::{in_hubspot, state_of};
use super::when::When;
use super::words::Badge;
use crate::access::Role;
use crate::http::AppState;
use crate::queue::actions::resync::OneRecord;
use crate::queue::audit::record_target;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page as Part;
use crate::queue::views::records::{AssociationView, RecordView};

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
    associations: Vec<Association>,
    accepted: Vec<Property>,
    revealed: bool,
    rows: Vec<RowLine>,
    all_rows: String,
}

/// The result of an action on the record, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

/// `GET /admin/records/{sync_type}/{external_id}`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let record = found(&state, &sync_type, &external_id).await?;
    let (tone, text) = match done.done.as_str() {
        "resync" => ("good", "The record goes out whole as soon as its turn comes."),
        "nothing" => ("warn", NOTHING),
        _ => ("", ""),
    };
    let notice = (!tone.is_empty()).then(|| Notice { tone, text: text.into() });
    whole(&state, &visitor, &record, false, notice).await
}

/// `POST …/reveal`: shows the page with its values, after an entry in the audit log.
pub(super) async fn reveal(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let record = found(&state, &sync_type, &external_id).await?;
    let target = record_target(&sync_type, record.id);
    let deed = state.queue.note(visitor.now, visitor.name(), "reveal", Some(&target), json!({}));
    deed.await?;
    whole(&state, &visitor, &record, true, None).await
}

/// Why a resync has nothing to send.
const NOTHING: &str = "There is nothing to send again: HubSpot has accepted nothing of this record \
                       yet, or it was erased, deleted or merged into another. Failed rows are retried \
                       on their own pages.";

/// `POST …/resync`.
pub(super) async fn resync(
    State(state): State<AppState>,
    visitor: Visitor,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let (name, now) = (visitor.name(), visitor.now);
    let done = match state.queue.resync(&sync_type, &external_id, name, now).await? {
        OneRecord::Done => "resync",
        OneRecord::Nothing => "nothing",
        OneRecord::Unknown => return Err(unknown()),
    };
    let page = link::record(&sync_type, &external_id);
    Ok(Redirect::to(&link::link(&page, [("done", done)])).into_response())
}

fn unknown() -> Failure {
    Failure::unknown("There is no record of this kind and id.")
}

async fn found(
    state: &AppState,
    sync_type: &str,
    external_id: &str,
) -> Result<RecordView, Failure> {
    state.queue.record_by_key(sync_type, external_id).await?.ok_or_else(unknown)
}

async fn whole(
    state: &AppState,
    visitor: &Visitor,
    record: &RecordView,
    revealed: bool,
    notice: Option<Notice>,
) -> Result<Response, Failure> {
    let (sync_type, external_id) = (record.sync_type.clone(), record.external_id.clone());
    let filter = RowFilter {
        sync_type: Some(sync_type.clone()),
        external_id: Some(external_id.clone()),
        ..RowFilter::default()
    };
    let rows = state.queue.rows(&filter, &Part::newest(ROWS)).await?;
    let associations = state.queue.associations(record.id).await?;
    let portal = state.queue.account().await?.hubspot_portal_id;
    let href = link::record(&sync_type, &external_id);
    let mut frame =
        Page::new(visitor, Section::Records, format!("{sync_type} {external_id}")).with(notice);
    frame.here.clone_from(&href);
    let narrowed = [("sync_type", sync_type.as_str()), ("external_id", external_id.as_str())];
    let all_rows = link::link("/admin/queue", narrowed);
    Ok(page(&RecordPage {
        page: frame,
        href,
        state: state_of(record),
        hubspot: in_hubspot(state, portal, record),
        times: times(record, visitor),
        facts: facts(record),
        resyncs: record.can_resync(),
        associations: associations.iter().map(association).collect(),
        accepted: accepted_by(&registers(record)?, None, revealed, visitor),
        revealed,
        rows: rows.items.iter().map(|row| RowLine::of(row, visitor, state)).collect(),
        all_rows,
        sync_type,
        external_id,
    }))
}

fn times(record: &RecordView, visitor: &Visitor) -> Vec<(&'static str, When)> {
    let all = [
        ("First heard of", Some(record.created_at)),
        ("Last written", record.synced_at),
        ("Due", record.due_at),
        ("Backs off until", record.backoff_until),
        ("Waits until", record.waiting_until),
        ("Leased until", record.lease_until),
        ("Adopted", record.adopted_at),
        ("Deleted", record.deleted_at),
        ("Erasure asked for", record.erased_at),
    ];
    all.into_iter().filter_map(|(name, at)| Some((name, visitor.full(at?)))).collect()
}

fn facts(record: &RecordView) -> Vec<(&'static str, String)> {
    let doubt =
        "HubSpot may hold something else than it accepted: all of it goes with the next call";
    let failures = record.failures;
    let all = [
        ("Next call", record.stage.clone().filter(|_| record.due_at.is_some())),
        ("Waits for", record.waiting_reason.clone()),
        ("Held by", record.lease_holder.clone()),
        ("Merged into", record.merged_into.clone()),
        ("Adopted by", record.adopted_by.map(|row| format!("row {row}; HubSpot had it before"))),
        ("In doubt", record.uncertain.then(|| doubt.to_owned())),
        ("Resync", record.resyncing.then(|| "all of it goes with the next call".to_owned())),
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
            "parked" => "waits for the other end to exist in HubSpot",
            "due" => "goes with one of the next calls",
            "refused" => "HubSpot would not have this pair; retry its row or send another target",
            _ => "",
        },
    }
}
