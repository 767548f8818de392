//! `POST /v1/events`: accepts events. An event answered with 202 is stored.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::admission::{self, Read};
use super::body::Held;
use crate::event::Fault;
use crate::http::AppState;
use crate::http::auth::IngestKey;
use crate::http::problem::{Problem, ProblemBody};
use crate::queue::intake::enqueue::{EnqueueError, Receipt};

/// An event: a CloudEvents 1.0 JSON object.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of what is sent; admission reads the JSON itself")]
pub struct EventBody {
    /// `1.0`.
    specversion: Option<String>,
    /// Together with `source`, this is the idempotency key. Default: a new UUID.
    id: Option<String>,
    /// Who reports it. Default: the setting `ingest.default_source`.
    source: Option<String>,
    /// What happened, such as `user.updated`.
    #[schema(example = "user.updated")]
    r#type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    subject: String,
    /// When it happened (RFC 3339). Default: now.
    time: Option<DateTime<Utc>>,
    /// `high`, `normal` or `low`. Default: the mapping's priority.
    priority: Option<String>,
    /// `default`, the only portal.
    portal: Option<String>,
    /// The W3C trace it belongs to. Default: the header `traceparent`. An invalid value is ignored.
    #[schema(value_type = Option<Value>, example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    traceparent: Option<String>,
    /// What the application says about the entity.
    #[schema(value_type = HashMap<String, Value>)]
    data: Value,
}

/// The result for the events of a request.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// The number of new events.
    accepted: usize,
    /// The number of events that were already known.
    duplicates: usize,
    /// One entry for each event, in their order.
    events: Vec<AcceptedEvent>,
}

/// The result for one event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedEvent {
    id: String,
    /// Whether the event had been accepted before.
    duplicate: bool,
    /// The rows of the event, one for each record.
    rows: Vec<AcceptedRow>,
}

/// One row of an accepted event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedRow {
    /// The number of the row, as text.
    #[schema(example = "41")]
    id: String,
    /// The object kind.
    #[schema(example = "contact")]
    sync_type: String,
    /// The output of the mapping file that made the change.
    #[schema(example = "contact")]
    output: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    external_id: String,
    /// The status of the row.
    #[schema(example = "pending")]
    status: String,
}

/// Send one event or many. Either all are stored or none.
///
/// The body is one object, an array, or one object on each line. It has at most 10,000 events and 8
/// MiB; an event has at most 256 KiB and 10,000 objects and lists. `Content-Encoding: gzip` is
/// supported, and the limits apply to the unpacked body. Sending the same event again returns the
/// same answer and changes nothing.
#[utoipa::path(post, path = "/v1/events", tag = "events",
    request_body(content(
        (EventBody = "application/json", examples(
            ("one" = (summary = "A user has changed", value = json!({
                "specversion": "1.0", "id": "evt-1", "source": "safebill/backend",
                "type": "user.updated", "subject": "u-1001", "time": "2026-11-20T10:00:00Z",
                "data": {"email": "marie@company.fr", "first_name": "Marie",
                         "last_name": "Dupont", "business_id": "b-77"}}))),
            ("many" = (summary = "Two events, stored together", value = json!([
                {"id": "evt-2", "type": "business.created", "subject": "b-77",
                 "data": {"name": "Dupont Electrical", "country": "FR"}},
                {"id": "evt-3", "type": "user.updated", "subject": "u-1001",
                 "data": {"phone": "+33612345678"}}]))))),
        (EventBody = "application/cloudevents+json"),
        (Vec<EventBody> = "application/cloudevents-batch+json"),
        (String = "application/x-ndjson"))),
    responses(
        (status = 202, body = Accepted, description = "Stored, after the commit"),
        (status = 400, body = ProblemBody, description = "Not JSON"),
        (status = 401, body = ProblemBody),
        (status = 403, body = ProblemBody),
        (status = 409, body = ProblemBody, description = "An id was used for another event"),
        (status = 413, body = ProblemBody),
        (status = 415, body = ProblemBody),
        (status = 422, body = ProblemBody, description = "`errors` names the faults of all events, `more_errors` how many it leaves out"),
        (status = 429, body = ProblemBody, description = "More events than `ingest.max_events_per_minute`, or too many wrong keys"),
        (status = 503, body = ProblemBody, description = "No answer of the database, or too much at once; send it again with the same ids")))]
pub async fn post_events(
    IngestKey(sender): IngestKey,
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
    let Read { events, room } = admission::read(&state, request, Some(&sender)).await?;
    let receipts = state.intake.store(events).await.map_err(|error| match error {
        EnqueueError::Conflict(places) => conflict(&places),
        EnqueueError::Erased(places) => erased(&places),
        EnqueueError::Queue(error) => error.into(),
    })?;
    let duplicates = receipts.iter().filter(|r| r.duplicate).count();
    metrics::counter!("hubferry_events_accepted_total")
        .increment((receipts.len() - duplicates) as u64);
    metrics::counter!("hubferry_events_duplicate_total").increment(duplicates as u64);
    let answer = serde_json::to_vec(&answer(receipts, duplicates));
    let answer = answer.map_err(|_| Problem::internal())?;
    // The answer keeps its part of the memory reserved until a slow client has read it.
    let room = room.map(|held| held.shrink_to(answer.len()));
    let answer = Bytes::from_owner(Answer { text: answer, _room: room });
    let json = HeaderValue::from_static("application/json");
    Ok((StatusCode::ACCEPTED, [(header::CONTENT_TYPE, json)], answer).into_response())
}

/// An answer that is being sent, with the memory reserved for it.
struct Answer {
    text: Vec<u8>,
    _room: Option<Held>,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

fn conflict(places: &[usize]) -> Problem {
    let faults = places.iter().map(|&index| Fault {
        index,
        pointer: "/id".into(),
        code: "id_reused".into(),
        detail: "this id was accepted before with another body".into(),
    });
    Problem::new(
        StatusCode::CONFLICT,
        "id_reused",
        "nothing of this request was stored; give a new event a new id",
    )
    .with_faults(faults.collect())
}

fn erased(places: &[usize]) -> Problem {
    let faults = places.iter().map(|&index| Fault {
        index,
        pointer: "/subject".into(),
        code: "subject_erased".into(),
        detail: "this subject was erased; an operator can allow it again".into(),
    });
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "subject_erased",
        "nothing was stored; POST /admin/sync/records/{sync_type}/{external_id}/allow lifts an erasure",
    )
    .with_faults(faults.collect())
}

fn answer(receipts: Vec<Receipt>, duplicates: usize) -> Accepted {
    let accepted = receipts.len() - duplicates;
    let events = receipts.into_iter().map(|receipt| AcceptedEvent {
        id: receipt.event_id,
        duplicate: receipt.duplicate,
        rows: receipt
            .rows
            .into_iter()
            .map(|row| AcceptedRow {
                id: row.id.to_string(),
                sync_type: row.sync_type,
                output: row.output,
                external_id: row.external_id,
                status: row.status,
            })
            .collect(),
    });
    Accepted { accepted, duplicates, events: events.collect() }
}
