//! `/admin/sync/errors` and `/admin/sync/audit`: failed rows in groups, and the audit log.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::types::PageOf;
use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::extract::Params;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::lists::{AuditQuery, PageQuery};
use crate::operator::views;

/// Failed rows of one object kind with the same error code and property.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorGroup {
    #[schema(example = "INVALID_EMAIL")]
    code: String,
    /// The property at fault.
    property: Option<String>,
    /// The object kind.
    sync_type: String,
    /// The number of rows.
    rows: i64,
    /// The number of records.
    records: i64,
    /// When the first of these rows failed.
    first_at: DateTime<Utc>,
    /// When the last of these rows failed.
    last_at: DateTime<Utc>,
    /// The message of the newest row.
    message: Option<String>,
    /// What to do about it.
    hint: Option<String>,
    /// The number of the newest row, as text.
    newest_id: String,
}

impl From<views::ErrorGroup> for ErrorGroup {
    fn from(group: views::ErrorGroup) -> Self {
        Self {
            code: group.code,
            property: group.property,
            sync_type: group.sync_type,
            rows: group.rows,
            records: group.records,
            first_at: group.first_at,
            last_at: group.last_at,
            message: group.message,
            hint: group.hint,
            newest_id: group.newest_id.to_string(),
        }
    }
}

/// The groups, largest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorGroups {
    items: Vec<ErrorGroup>,
}

/// Filters for the groups.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ErrorParams {
    /// The object kind.
    sync_type: Option<String>,
    /// The most entries to return, 1 to 500. Default: 50.
    limit: Option<i64>,
}

/// List failed rows in groups: what is wrong, how often, and what to do. Discarded rows are left
/// out.
#[utoipa::path(get, path = "/errors", tag = "queue", params(ErrorParams),
    responses((status = 200, body = ErrorGroups), (status = 400, body = ProblemBody)))]
pub(super) async fn errors(
    _: Viewer,
    State(state): State<AppState>,
    Params(params): Params<ErrorParams>,
) -> Result<Json<ErrorGroups>, Problem> {
    let page = PageQuery { limit: params.limit, cursor: None };
    let groups = state.operator.error_groups(params.sync_type.as_deref(), &page).await?;
    let items = groups.into_iter().map(ErrorGroup::from).collect();
    Ok(Json(ErrorGroups { items }))
}

/// An action in the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AuditLine {
    id: String,
    at: DateTime<Utc>,
    /// The name of a key, or `application` for an erasure that an event asked for.
    actor: String,
    #[schema(example = "retry")]
    action: String,
    /// What the action was applied to.
    target: Option<String>,
    /// Further details.
    details: Value,
}

/// Filters for the audit log. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AuditParams {
    /// The action, such as `retry`.
    action: Option<String>,
    /// Who performed it.
    actor: Option<String>,
    /// The most entries to return, 1 to 500. Default: 50.
    limit: Option<i64>,
    /// A `next_cursor` or `prev_cursor` from an earlier answer.
    cursor: Option<String>,
}

/// List who did what, newest first.
#[utoipa::path(get, path = "/audit", tag = "audit", params(AuditParams),
    responses((status = 200, body = PageOf<AuditLine>), (status = 400, body = ProblemBody)))]
pub(super) async fn audit(
    Viewer(viewer): Viewer,
    State(state): State<AppState>,
    Params(params): Params<AuditParams>,
) -> Result<Json<PageOf<AuditLine>>, Problem> {
    let page = PageQuery { limit: params.limit, cursor: params.cursor };
    let query = AuditQuery { action: params.action, actor: params.actor };
    let lines = state.operator.audit(query, &page, viewer.role).await?;
    Ok(Json(PageOf::of(lines, |line| AuditLine {
        id: line.id.to_string(),
        at: line.at,
        actor: line.actor,
        action: line.action,
        target: line.target,
        details: line.details.unwrap_or(Value::Null),
    })))
}
