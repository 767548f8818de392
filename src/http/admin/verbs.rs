//! Actions of admins: retry, discard, pause, resume.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::queue::{number, short, unknown};
use super::types::Row;
use crate::access::Actor;
use crate::engine::preview::RecordPreview;
use crate::http::AppState;
use crate::http::auth::Operator;
use crate::http::extract::JsonBody;
use crate::http::preview::of_rows;
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::actions::retry::OneRow;
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page;

/// Filters for failed rows. An absent filter matches everything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sync_type": "contact", "error_code": "INVALID_EMAIL", "dry_run": true}))]
pub(super) struct Selection {
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

impl Selection {
    fn filter(self) -> Result<RowFilter, Problem> {
        if self.status.as_deref().is_some_and(|status| status != "failed") {
            let detail = "status: only `failed` rows can be chosen; the others go by themselves";
            return Err(Problem::body(detail));
        }
        if self.ids.as_ref().is_some_and(|ids| ids.len() > MOST_IDS) {
            return Err(Problem::body(format!(
                "ids: at most {MOST_IDS} rows are named one by one"
            )));
        }
        let number = |id: &RowNumber| match id {
            RowNumber::Number(id) => Some(*id),
            RowNumber::Text(id) => id.parse().ok(),
        };
        let ids = match self.ids {
            None => None,
            Some(ids) => Some(
                ids.iter()
                    .map(number)
                    .collect::<Option<Vec<i64>>>()
                    .ok_or_else(|| Problem::body("ids: must be row numbers"))?,
            ),
        };
        let priority = self.priority.as_deref().map(str::parse).transpose();
        Ok(RowFilter {
            status: Some(Status::Failed),
            sync_type: self.sync_type,
            event_type: self.event_type,
            external_id: self.external_id,
            error_code: self.error_code,
            error_property: self.error_property,
            priority: priority.map_err(|_| Problem::body("priority: use high, normal or low"))?,
            since: self.since,
            until: self.until,
            acted_at: None,
            ids,
            retryable: false,
            search: short(self.q)?,
        })
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
    /// What a retry of these sample rows would send.
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

/// A dry run stops counting here.
const MOST_COUNTED: i64 = 1_000_000;
const SAMPLE: i64 = 10;
/// The most rows that one request may name by number.
const MOST_IDS: usize = 10_000;
/// The longest reason.
const LONGEST_REASON: usize = 500;

async fn preview(
    state: &AppState,
    filter: &RowFilter,
    retry: bool,
    actor: &Actor,
) -> Result<Preview, Problem> {
    let filter = &RowFilter { retryable: retry, ..filter.clone() };
    let matching = state.queue.count_rows(filter, MOST_COUNTED).await?;
    let sample = state.queue.rows(filter, &Page::newest(SAMPLE)).await?;
    let ids: Vec<i64> = sample.items.iter().map(|row| row.id).collect();
    let max_retries = state.quota().max_retries;
    let sample = sample.items.into_iter().map(|row| Row::of(row, max_retries)).collect();
    let mut plan = None;
    if retry {
        // The preview shows the values of these rows, so the audit log names them.
        let targets: Vec<String> = ids.iter().map(|id| format!("row {id}")).collect();
        state.queue.note_reads(state.queue.now().await?, &actor.name, &targets).await?;
        plan = Some(of_rows(state, &ids).await?);
    }
    Ok(Preview { matching: Some(matching), sample: Some(sample), plan })
}

/// Retry all failed rows that match the filter. Their retry counts start again.
#[utoipa::path(post, path = "/retry", tag = "queue", request_body = Selection,
    responses((status = 200, body = Retried), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn retry(
    Operator(actor): Operator,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<Selection>,
) -> Result<Json<Retried>, Problem> {
    let dry_run = body.dry_run;
    let filter = body.filter()?;
    if dry_run {
        let preview = preview(&state, &filter, true, &actor).await?;
        return Ok(Json(Retried { retried: 0, dry_run, preview }));
    }
    let now = state.queue.now().await?;
    let retried = state.queue.retry_failed(&filter, &actor.name, now).await?;
    state.forget().await;
    Ok(Json(Retried { retried, dry_run, preview: Preview::default() }))
}

/// Discard all failed rows that match the filter.
#[utoipa::path(post, path = "/discard", tag = "queue", request_body = Selection,
    responses((status = 200, body = Discarded), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn discard(
    Operator(actor): Operator,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<Selection>,
) -> Result<Json<Discarded>, Problem> {
    let dry_run = body.dry_run;
    let filter = body.filter()?;
    if dry_run {
        let preview = preview(&state, &filter, false, &actor).await?;
        return Ok(Json(Discarded { discarded: 0, dry_run, preview }));
    }
    if filter == (RowFilter { status: Some(Status::Failed), ..RowFilter::default() }) {
        return Err(Problem::body(
            "say which rows are to be given up for good: name a kind, an error code, ids …",
        ));
    }
    let now = state.queue.now().await?;
    let discarded = state.queue.discard_failed(&filter, &actor.name, now).await?;
    state.forget().await;
    Ok(Json(Discarded { discarded, dry_run, preview: Preview::default() }))
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
    let now = state.queue.now().await?;
    done(state.queue.retry_one(number(&id)?, &actor.name, now).await?)?;
    state.forget().await;
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
    let now = state.queue.now().await?;
    done(state.queue.discard(number(&id)?, &actor.name, now).await?)?;
    state.forget().await;
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
    let now = state.queue.now().await?;
    let outcome = state.queue.confirm_erasure(number(&id)?, &actor.name, now).await?;
    if outcome == OneRow::NotFailed {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "nothing_to_confirm",
            "only an erasure that failed with ADOPTED_RECORD can be confirmed",
        ));
    }
    done(outcome)?;
    state.forget().await;
    Ok(Json(Confirmed { confirmed: true }))
}

fn done(outcome: OneRow) -> Result<(), Problem> {
    match outcome {
        OneRow::Done => Ok(()),
        OneRow::Unknown => Err(unknown()),
        OneRow::Erased => Err(Problem::new(
            StatusCode::CONFLICT,
            "subject_erased",
            "its subject was erased, so there is nothing to send; discard the row",
        )),
        OneRow::NotFailed => Err(Problem::new(
            StatusCode::CONFLICT,
            "not_failed",
            "the row is not failed: only failed rows can be retried or discarded, and discarded ones put back",
        )),
    }
}

/// A request to pause sending.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"reason": "import running in HubSpot"}))]
pub(super) struct PauseBody {
    /// The reason, for other people.
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
    if body.reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        let detail = format!("reason: must have at most {LONGEST_REASON} characters");
        return Err(Problem::body(detail));
    }
    let now = state.queue.now().await?;
    state.queue.pause(&actor.name, body.reason.as_deref(), now).await?;
    state.forget().await;
    Ok(Json(GateAnswer { gate: "paused" }))
}

/// Resume sending, and check again the gates that a fault has closed.
#[utoipa::path(post, path = "/resume", tag = "gate",
    responses((status = 200, body = GateAnswer), (status = 403, body = ProblemBody)))]
pub(super) async fn resume(
    Operator(actor): Operator,
    State(state): State<AppState>,
) -> Result<Json<GateAnswer>, Problem> {
    let now = state.queue.now().await?;
    state.queue.resume(&actor.name, now).await?;
    state.forget().await;
    Ok(Json(GateAnswer { gate: "open" }))
}
