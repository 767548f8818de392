//! `/admin/sync/records`: the records that hubferry sends to HubSpot.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::queue::short;
use super::types::{Association, PageOf, PageParams, Record, Row};
use crate::access::Role;
use crate::http::AppState;
use crate::http::auth::{Operator, Viewer};
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::actions::decisions::Allow;
use crate::queue::actions::resync::OneRecord;
use crate::queue::audit::record_target;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page;
use crate::queue::views::records::{RecordFilter, RecordState};

/// Filters for the records. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecordParams {
    /// The object kind.
    #[param(example = "contact")]
    sync_type: Option<String>,
    /// `linked`, `unlinked`, `waiting`, `uncertain`, `merged`, `deleted` or `erased`.
    state: Option<String>,
    /// An external id or a HubSpot id.
    q: Option<String>,
    /// The most records to return, 1 to 500. Default: 50.
    limit: Option<i64>,
    /// A `next_cursor` or `prev_cursor` from an earlier answer.
    cursor: Option<String>,
}

/// List records, newest first. Values are shown only for single records.
#[utoipa::path(get, path = "/records", tag = "records", params(RecordParams),
    responses((status = 200, body = PageOf<Record>), (status = 400, body = ProblemBody)))]
pub(super) async fn list(
    _: Viewer,
    State(state): State<AppState>,
    Params(params): Params<RecordParams>,
) -> Result<Json<PageOf<Record>>, Problem> {
    let page = PageParams { limit: params.limit, cursor: params.cursor }.page()?;
    let wanted = params.state.as_deref().map(str::parse::<RecordState>).transpose();
    let filter = RecordFilter {
        sync_type: params.sync_type,
        state: wanted.map_err(|e| Problem::query(format!("state: {e}")))?,
        search: short(params.q)?,
    };
    let records = state.queue.records(&filter, &page).await?;
    Ok(Json(PageOf::of(records, |record| Record::of(record, false))))
}

/// A record with its associations and rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordDetail {
    #[serde(flatten)]
    record: Record,
    associations: Vec<Association>,
    /// The newest rows of the record, at most a hundred. The list of rows has all of them.
    rows: Vec<Row>,
}

/// The most rows of a record in one answer.
const ROWS: i64 = 100;

fn unknown() -> Problem {
    let detail = "there is no record of this kind and external id";
    Problem::new(StatusCode::NOT_FOUND, "unknown_record", detail)
}

/// Show a record: its link, what HubSpot has accepted, its associations and its rows.
#[utoipa::path(get, path = "/records/{sync_type}/{external_id}", tag = "records",
    params(("sync_type" = String, Path, example = "contact"),
           ("external_id" = String, Path, example = "u-1001")),
    responses((status = 200, body = RecordDetail), (status = 404, body = ProblemBody)))]
pub(super) async fn show(
    Viewer(actor): Viewer,
    State(state): State<AppState>,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Json<RecordDetail>, Problem> {
    let record = state.queue.record_by_key(&sync_type, &external_id).await?;
    let record = record.ok_or_else(unknown)?;
    let values = actor.role.may(Role::Operator);
    if values {
        let targets = [record_target(&sync_type, record.id)];
        let now = state.queue.now().await?;
        state.queue.note_reads(now, &actor.name, &targets).await?;
    }
    let associations = state.queue.associations(record.id).await?;
    let (sync_type, external_id) = (Some(sync_type), Some(external_id));
    let filter = RowFilter { sync_type, external_id, ..RowFilter::default() };
    let rows = state.queue.rows(&filter, &Page::newest(ROWS)).await?;
    let max_retries = state.quota().max_retries;
    Ok(Json(RecordDetail {
        record: Record::of(record, values),
        associations: associations.into_iter().map(Association::from).collect(),
        rows: rows.items.into_iter().map(|row| Row::of(row, max_retries)).collect(),
    }))
}

/// The record will be sent again with all its values.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Resynced {
    /// Always 1.
    resynced: u64,
}

/// Send all known values of a record again, whatever HubSpot has accepted.
#[utoipa::path(post, path = "/records/{sync_type}/{external_id}/resync", tag = "records",
    params(("sync_type" = String, Path, example = "contact"),
           ("external_id" = String, Path, example = "u-1001")),
    responses((status = 200, body = Resynced), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
pub(super) async fn resync(
    Operator(actor): Operator,
    State(state): State<AppState>,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Json<Resynced>, Problem> {
    let now = state.queue.now().await?;
    match state.queue.resync(&sync_type, &external_id, &actor.name, now).await? {
        OneRecord::Done => Ok(Json(Resynced { resynced: 1 })),
        OneRecord::Unknown => Err(unknown()),
        OneRecord::Nothing => Err(Problem::new(
            StatusCode::CONFLICT,
            "nothing_to_resync",
            "nothing of this record can be sent: it was never written, or was deleted, erased or merged into another",
        )),
    }
}

/// Events of an erased subject are accepted again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Allowed {
    /// Always `true`.
    allowed: bool,
}

/// Lift an erasure, so that events of this subject are accepted again.
#[utoipa::path(post, path = "/records/{sync_type}/{external_id}/allow", tag = "records",
    params(("sync_type" = String, Path, example = "contact"),
           ("external_id" = String, Path, example = "u-1001")),
    responses((status = 200, body = Allowed), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
pub(super) async fn allow(
    Operator(actor): Operator,
    State(state): State<AppState>,
    Path((sync_type, external_id)): Path<(String, String)>,
) -> Result<Json<Allowed>, Problem> {
    let now = state.queue.now().await?;
    match state.queue.allow(&sync_type, &external_id, &actor.name, now).await? {
        Allow::Done => Ok(Json(Allowed { allowed: true })),
        Allow::Unknown => {
            let detail = "no erased subject has this kind and id";
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown_record", detail))
        }
        Allow::Erasing => Err(Problem::new(
            StatusCode::CONFLICT,
            "erasure_open",
            "the erasure has not ended yet: wait until its row is synced, or discard the row if it failed",
        )),
    }
}
