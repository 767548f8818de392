//! Actions of admins: retry, discard, pause, resume.

use axum::Json;
use axum::extract::{Path, State};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::types::Row;
use crate::http::AppState;
use crate::http::auth::Operator;
use crate::http::extract::JsonBody;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::rows::{RowQuery, Selection, Verb};
use crate::operator::views::{Actor, RecordPreview};
use crate::operator::{OperatorError, Reveal};

/// Filters for failed rows. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sync_type": "contact", "error_code": "INVALID_EMAIL", "dry_run": true}))]
pub(super) struct SelectionBody {
    /// Only `failed` is possible.
    status: Option<String>,
    /// The object kind.
    sync_type: Option<String>,
    /// The event's type.
    event_type: Option<String>,
    /// The application's id of the entity.
    external_id: Option<String>,
    /// The error code.
    error_code: Option<String>,
    /// The property at fault. Empty: the error names no property.
    error_property: Option<String>,
    /// Row numbers, as text or numbers.
    ids: Option<Vec<RowNumber>>,
    /// `high`, `normal` or `low`.
    priority: Option<String>,
    /// Accepted at or after this time.
    since: Option<DateTime<Utc>>,
    /// Accepted before this time.
    until: Option<DateTime<Utc>>,
    /// A search text, as in the list of rows.
    q: Option<String>,
    /// Every failed row is meant, if no filter is set. A discard without a filter needs it.
    #[serde(default)]
    all: bool,
    /// Only count the matching rows and show some of them.
    #[serde(default)]
    dry_run: bool,
}

/// Answers contain row numbers as strings. Requests may use strings or numbers.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum RowNumber {
    Number(i64),
    Text(String),
}

impl SelectionBody {
    fn selection(self) -> Result<Selection, OperatorError> {
        let number = |id: RowNumber| match id {
            RowNumber::Number(id) => Some(id),
            RowNumber::Text(id) => id.parse().ok(),
        };
        let ids = self.ids.map(|ids| ids.into_iter().map(number).collect::<Option<Vec<i64>>>());
        let ids = match ids {
            Some(None) => return Err(OperatorError::Request("ids: must be row numbers".into())),
            ids => ids.flatten(),
        };
        let query = RowQuery {
            status: self.status,
            sync_type: self.sync_type,
            event_type: self.event_type,
            external_id: self.external_id,
            error_code: self.error_code,
            error_property: self.error_property,
            priority: self.priority,
            since: self.since,
            until: self.until,
            acted_at: None,
            ids,
            search: self.q,
        };
        Ok(Selection { query, all: self.all })
    }
}

/// The result of a dry run.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Preview {
    /// The number of matching rows, counted up to 1,000,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    matching: Option<i64>,
    /// The newest matching rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    sample: Option<Vec<Row>>,
    /// What a retry of these sample rows would send, and what a discard would lose.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Vec<RecordPreview>>,
}

/// The number of rows that are retried.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Retried {
    /// The number of rows; 0 in a dry run.
    retried: u64,
    /// Whether this was a dry run.
    dry_run: bool,
    #[serde(flatten)]
    preview: Preview,
}

/// The number of rows that were discarded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Discarded {
    /// The number of rows; 0 in a dry run.
    discarded: u64,
    /// Whether this was a dry run.
    dry_run: bool,
    #[serde(flatten)]
    preview: Preview,
}

/// Does what the body asks for, or previews it. Returns how many rows were changed.
async fn act(
    verb: Verb,
    state: &AppState,
    actor: &Actor,
    body: SelectionBody,
) -> Result<(u64, bool, Preview), Problem> {
    let (dry_run, selection) = (body.dry_run, body.selection()?);
    if !dry_run {
        let outcome = state.operator.act_on_rows(verb, selection, actor).await?;
        return Ok((outcome.rows, dry_run, Preview::default()));
    }
    let preview = state.operator.preview_rows(verb, selection, Reveal::ToProgram(actor)).await?;
    let max_retries = state.operator.limits().max_retries;
    let preview = Preview {
        matching: Some(preview.matching),
        sample: Some(preview.sample.into_iter().map(|row| Row::of(row, max_retries)).collect()),
        plan: Some(preview.records),
    };
    Ok((0, dry_run, preview))
}

/// Retry all failed rows that match the filter. Their retry counts start again.
#[utoipa::path(post, path = "/retry", tag = "queue", request_body = SelectionBody,
    responses((status = 200, body = Retried), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn retry(
    Operator(actor): Operator,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<SelectionBody>,
) -> Result<Json<Retried>, Problem> {
    let (retried, dry_run, preview) = act(Verb::Retry, &state, &actor, body).await?;
    Ok(Json(Retried { retried, dry_run, preview }))
}

/// Discard all failed rows that match the filter. Without a filter, `all` must be true.
#[utoipa::path(post, path = "/discard", tag = "queue", request_body = SelectionBody,
    responses((status = 200, body = Discarded), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn discard(
    Operator(actor): Operator,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<SelectionBody>,
) -> Result<Json<Discarded>, Problem> {
    let (discarded, dry_run, preview) = act(Verb::Discard, &state, &actor, body).await?;
    Ok(Json(Discarded { discarded, dry_run, preview }))
}

/// Retry one failed row, or restore a discarded one.
#[utoipa::path(post, path = "/queue/{id}/retry", tag = "queue",
    params(("id" = String, Path, description = "The row's number", example = "1")),
    responses((status = 200, body = Retried), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
pub(super) async fn retry_one(
    Operator(actor): Operator,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Retried>, Problem> {
    state.operator.retry_row(&id, &actor).await?;
    Ok(Json(Retried { retried: 1, dry_run: false, preview: Preview::default() }))
}

/// Discard one failed row.
#[utoipa::path(post, path = "/queue/{id}/discard", tag = "queue",
    params(("id" = String, Path, description = "The row's number", example = "1")),
    responses((status = 200, body = Discarded), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
pub(super) async fn discard_one(
    Operator(actor): Operator,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Discarded>, Problem> {
    state.operator.discard_row(&id, &actor).await?;
    Ok(Json(Discarded { discarded: 1, dry_run: false, preview: Preview::default() }))
}

/// The erasure was confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Confirmed {
    /// Always `true`.
    confirmed: bool,
}

/// Erase an adopted record, which HubSpot had before hubferry. This confirms an erasure that failed
/// with `ADOPTED_RECORD`, and cannot be undone.
#[utoipa::path(post, path = "/queue/{id}/confirm", tag = "queue",
    params(("id" = String, Path, description = "The row's number", example = "1")),
    responses((status = 200, body = Confirmed), (status = 404, body = ProblemBody),
              (status = 409, body = ProblemBody)))]
pub(super) async fn confirm(
    Operator(actor): Operator,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Confirmed>, Problem> {
    state.operator.confirm_erasure(&id, &actor).await?;
    Ok(Json(Confirmed { confirmed: true }))
}

/// A request to pause sending.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "import running in HubSpot"}))]
pub(super) struct PauseBody {
    /// The reason, for other people: at most 500 characters.
    reason: Option<String>,
}

/// The state of the operator's gate.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GateAnswer {
    /// `paused` or `open`.
    gate: &'static str,
}

/// Stop sending. Events are still accepted and wait.
#[utoipa::path(post, path = "/pause", tag = "gate", request_body = PauseBody,
    responses((status = 200, body = GateAnswer), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn pause(
    Operator(actor): Operator,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<PauseBody>,
) -> Result<Json<GateAnswer>, Problem> {
    state.operator.pause(body.reason.as_deref(), &actor).await?;
    Ok(Json(GateAnswer { gate: "paused" }))
}

/// Resume sending, and check again the gates that a fault has closed.
#[utoipa::path(post, path = "/resume", tag = "gate",
    responses((status = 200, body = GateAnswer), (status = 403, body = ProblemBody)))]
pub(super) async fn resume(
    Operator(actor): Operator,
    State(state): State<AppState>,
) -> Result<Json<GateAnswer>, Problem> {
    state.operator.resume(&actor).await?;
    Ok(Json(GateAnswer { gate: "open" }))
}
