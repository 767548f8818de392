//! `/admin/sync/records`: the records that hubferry sends to HubSpot.

use axum::Json;
use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::types::{Association, PageOf, Record, Row, reveal};
use crate::http::AppState;
use crate::http::auth::{Operator, Viewer};
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::lists::{PageQuery, RecordQuery};
use crate::operator::records::RecordDetail as Found;

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
    let page = PageQuery { limit: params.limit, cursor: params.cursor };
    let (sync_type, state_of, search) = (params.sync_type, params.state, params.q);
    let query = RecordQuery { sync_type, state: state_of, search };
    let records = state.operator.records(query, &page).await?;
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
    let (values, reveal) = reveal(&actor);
    let found = state.operator.record(&sync_type, &external_id, ROWS, reveal).await?;
    let Found { record, associations, rows } = found;
    let max_retries = state.operator.limits().max_retries;
    Ok(Json(RecordDetail {
        record: Record::of(record, values),
        associations: associations.into_iter().map(Association::from).collect(),
        rows: rows.into_iter().map(|row| Row::of(row, max_retries)).collect(),
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
    state.operator.resync_record(&sync_type, &external_id, &actor).await?;
    Ok(Json(Resynced { resynced: 1 }))
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
    state.operator.allow_record(&sync_type, &external_id, &actor).await?;
    Ok(Json(Allowed { allowed: true }))
}
