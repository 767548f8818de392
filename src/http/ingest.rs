//! `POST /v1/events`: the door. What it answers with 202 is stored.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::auth::IngestKey;
use super::problem::{Problem, ProblemBody};
use super::{AppState, parse};
use crate::event::{Admission, Fault, admit, legible, traceparent};
use crate::mapping::Input;
use crate::queue::enqueue::{Admitted, EnqueueError, Receipt};

/// An event: a CloudEvents 1.0 JSON object.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of what is sent; admission reads the JSON itself")]
pub struct EventBody {
    /// `1.0`.
    specversion: Option<String>,
    /// The idempotency key together with `source`; a new UUID without.
    id: Option<String>,
    /// Who reports it; the setting `ingest.default_source` without.
    source: Option<String>,
    /// What happened, such as `user.updated`.
    #[schema(example = "user.updated")]
    r#type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    subject: String,
    /// When it happened (RFC 3339); now without.
    time: Option<DateTime<Utc>>,
    /// `high`, `normal` or `low`; the mapping's without.
    priority: Option<String>,
    /// `default`, the only one there is.
    portal: Option<String>,
    /// The W3C trace it belongs to; the header `traceparent` without. Anything else is passed over.
    #[schema(value_type = Option<Value>, example = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
    traceparent: Option<String>,
    /// What the application says of the entity.
    #[schema(value_type = Object)]
    data: Value,
}

/// What became of a request's events.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    /// How many were new.
    accepted: usize,
    /// How many were known.
    duplicates: usize,
    /// One entry an event, in their order.
    events: Vec<AcceptedEvent>,
}

/// What became of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedEvent {
    id: String,
    /// Whether it had been accepted before.
    duplicate: bool,
    /// Its rows, one a record.
    rows: Vec<AcceptedRow>,
}

/// One row of an accepted event.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedRow {
    /// Its number, as text.
    #[schema(example = "41")]
    id: String,
    /// The object kind.
    #[schema(example = "contact")]
    sync_type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    external_id: String,
    /// Where it stands.
    #[schema(example = "pending")]
    status: String,
}

/// A body of so many bytes is read where it came in: another thread would cost more.
const SMALL: usize = 16 * 1024;

/// Send one event or many: stored whole or not at all.
///
/// One object, an array, or a line each. At most 10,000 events and 8 MiB; an event at most 256 KiB.
/// The same event again is answered like the first time and changes nothing.
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
        (status = 422, body = ProblemBody, description = "`errors` names every fault of every event"),
        (status = 503, body = ProblemBody, description = "No answer of the database; send it again with the same ids")))]
pub async fn post_events(
    _: IngestKey,
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
    let admitted = read(&state, request).await?;
    let receipts = state.intake.store(admitted).await.map_err(|error| match error {
        EnqueueError::Conflict(places) => conflict(&places),
        EnqueueError::Erased(places) => erased(&places),
        EnqueueError::Queue(error) => error.into(),
    })?;
    let duplicates = receipts.iter().filter(|r| r.duplicate).count();
    metrics::counter!("hubferry_events_accepted_total")
        .increment((receipts.len() - duplicates) as u64);
    metrics::counter!("hubferry_events_duplicate_total").increment(duplicates as u64);
    Ok((StatusCode::ACCEPTED, Json(answer(receipts, duplicates))).into_response())
}

/// Reads, checks and maps the events of a request.
///
/// # Errors
/// 400, 413, 415, 422 with every fault of every event.
pub(super) async fn read(state: &AppState, request: Request) -> Result<Vec<Admitted>, Problem> {
    let (parts, body) = request.into_parts();
    let most = state.ingest.max_body;
    let too_large = || {
        let detail = format!("a body may have {most} bytes; send the events in several requests");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail)
    };
    let text = |name: header::HeaderName| parts.headers.get(name).and_then(|v| v.to_str().ok());
    let announced = text(header::CONTENT_LENGTH).and_then(|v| v.parse::<usize>().ok());
    if announced.is_some_and(|length| length > most) {
        return Err(too_large());
    }
    // The type before the body: a wrong one is refused without reading it.
    let content_type = text(header::CONTENT_TYPE).map(str::to_owned);
    let bytes = to_bytes(body, most).await.map_err(|error| {
        if error.into_inner().is::<http_body_util::LengthLimitError>() {
            too_large()
        } else {
            Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", "the body ended early")
        }
    })?;
    let length = bytes.len();
    let now = state.queue.about_now().await?;
    let trace =
        parts.headers.get("traceparent").and_then(|v| v.to_str().ok()).and_then(traceparent);
    let working = state.clone();
    let admitted = move || {
        let events = parse::events(content_type.as_deref(), &bytes, working.ingest.max_events)?;
        admit_all(&working, &events, now, trace.as_deref())
    };
    if length <= SMALL {
        return admitted();
    }
    // Mapping ten thousand events takes a while: not on a thread that others wait for.
    tokio::task::spawn_blocking(admitted).await.map_err(|_| Problem::internal())?
}

/// Checks and maps `events`; all faults of all of them.
fn admit_all(
    state: &AppState,
    events: &[Value],
    now: DateTime<Utc>,
    trace: Option<&str>,
) -> Result<Vec<Admitted>, Problem> {
    let admission = Admission {
        default_source: &state.ingest.default_source,
        now,
        max_ahead: state.ingest.max_ahead,
    };
    let settings = state.settings.now();
    let (mut admitted, mut faults) = (Vec::with_capacity(events.len()), Vec::<Fault>::new());
    for (index, raw) in events.iter().enumerate() {
        let mut event = match admit(index, raw, &admission, Uuid::now_v7) {
            Ok(mut event) => {
                event.traceparent = event.traceparent.or_else(|| trace.map(str::to_owned));
                event
            }
            Err(found) => {
                faults.extend(found);
                // What its data lacks is told in the same answer.
                if let Some((event_type, subject, data)) = legible(raw) {
                    let input = Input { event_type: &event_type, subject, data };
                    let more = state.mapping.map(&input).err().unwrap_or_default();
                    faults.extend(more.into_iter().map(|fault| Fault { index, ..fault }));
                }
                continue;
            }
        };
        match state.mapping.map(&Input::from(&event)) {
            Ok(changes) => {
                let usual = settings.values.priorities.of(&event.event_type);
                event.priority = event.priority.or(usual);
                admitted.push(Admitted { event, changes });
            }
            Err(found) => faults.extend(found.into_iter().map(|fault| Fault { index, ..fault })),
        }
    }
    if faults.is_empty() {
        return Ok(admitted);
    }
    metrics::counter!("hubferry_events_refused_total").increment(events.len() as u64);
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_event",
        "nothing was stored; `errors` names every fault by the event's index and a JSON pointer into it",
    )
    .with_errors(faults))
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
    .with_errors(faults.collect())
}

fn erased(places: &[usize]) -> Problem {
    let faults = places.iter().map(|&index| Fault {
        index,
        pointer: "/subject".into(),
        code: "subject_erased".into(),
        detail: "this subject was erased for good; an admin may allow it again".into(),
    });
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "subject_erased",
        "nothing was stored; POST /admin/sync/records/{sync_type}/{external_id}/allow lifts an erasure",
    )
    .with_errors(faults.collect())
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
                external_id: row.external_id,
                status: row.status,
            })
            .collect(),
    });
    Accepted { accepted, duplicates, events: events.collect() }
}
