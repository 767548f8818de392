//! `POST /admin/sync/plan`: previews what events would send, without sending anything.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::engine::preview::RecordPreview;
use crate::http::AppState;
use crate::http::admission::{self, Read};
use crate::http::auth::Operator;
use crate::http::ingest::EventBody;
use crate::http::preview::of_events;
use crate::http::problem::{Problem, ProblemBody};

/// The most events in one preview.
const MOST: usize = 1_000;

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
    if events.len() > MOST {
        let detail = format!("a plan looks at no more than {MOST} events; send a part of them");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    Ok(Json(Plan { records: of_events(&state, events, &actor.name).await? }))
}
