//! `POST /admin/sync/plan`: previews what events would send, without sending anything.

use axum::Json;
use axum::extract::{Request, State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::auth::Operator;
use crate::http::events::admission::{self, Read};
use crate::http::events::ingest::EventBody;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::views::RecordPreview;

/// A preview of what events would send.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Plan {
    /// One entry for each record, in the order in which the events first name them.
    records: Vec<RecordPreview>,
}

/// Preview what these events would send, given what HubSpot has already. Nothing is stored and
/// nothing is sent.
#[utoipa::path(post, path = "/plan", tag = "queue",
    request_body(content((EventBody = "application/json", examples(
        ("one" = (summary = "A user has changed", value = json!({
            "type": "user.updated", "subject": "u-1001",
            "data": {"email": "marie@company.fr", "first_name": "Marie"}})))))
    )),
    responses((status = 200, body = Plan), (status = 403, body = ProblemBody),
              (status = 413, body = ProblemBody), (status = 415, body = ProblemBody),
              (status = 422, body = ProblemBody)))]
pub(super) async fn plan(
    Operator(actor): Operator,
    State(state): State<AppState>,
    request: Request,
) -> Result<Json<Plan>, Problem> {
    let Read { events, room: _room } = admission::read(&state, request, None).await?;
    Ok(Json(Plan { records: state.operator.preview_events(events, &actor).await? }))
}
