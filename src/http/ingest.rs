//! `POST /v1/events`: the door. What it answers with 202 is stored.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::admin::view::error;
use super::auth::IngestKey;
use super::extract::Params;
use super::problem::Problem;
use super::{AppState, parse};
use crate::event::{Admission, Fault, admit, legible};
use crate::mapping::Input;
use crate::queue::enqueue::{Admitted, EnqueueError, Receipt};

/// Accepts one event or many: stored whole or not at all.
///
/// # Errors
/// 400, 401, 409, 413, 415, 422 with every fault of every event, 503 without a database.
pub async fn post_events(
    _: IngestKey,
    State(state): State<AppState>,
    request: Request,
) -> Result<Response, Problem> {
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
    let now = state.queue.now().await?;
    let working = state.clone();
    // Mapping ten thousand events takes a while: not on a thread that others wait for.
    let admitted = tokio::task::spawn_blocking(move || {
        let events = parse::events(content_type.as_deref(), &bytes, working.ingest.max_events)?;
        admit_all(&working, &events, now)
    })
    .await
    .map_err(|_| Problem::internal())??;
    let receipts = state.queue.enqueue(&admitted, now).await.map_err(|error| match error {
        EnqueueError::Conflict(places) => conflict(&places),
        EnqueueError::Erased(places) => erased(&places),
        EnqueueError::Queue(error) => error.into(),
    })?;
    let duplicates = receipts.iter().filter(|r| r.duplicate).count();
    metrics::counter!("hubferry_events_accepted_total")
        .increment((receipts.len() - duplicates) as u64);
    metrics::counter!("hubferry_events_duplicate_total").increment(duplicates as u64);
    Ok((StatusCode::ACCEPTED, Json(answer(&receipts, duplicates))).into_response())
}

/// Checks and maps `events`; all faults of all of them.
fn admit_all(
    state: &AppState,
    events: &[Value],
    now: DateTime<Utc>,
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
            Ok(event) => event,
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

fn answer(receipts: &[Receipt], duplicates: usize) -> Value {
    let events: Vec<Value> = receipts
        .iter()
        .map(|receipt| {
            let rows: Vec<Value> = receipt
                .rows
                .iter()
                .map(|row| {
                    json!({ "id": row.id.to_string(), "sync_type": row.sync_type,
                            "external_id": row.external_id, "status": row.status })
                })
                .collect();
            json!({ "id": receipt.event_id, "duplicate": receipt.duplicate, "rows": rows })
        })
        .collect();
    json!({ "accepted": receipts.len() - duplicates, "duplicates": duplicates, "events": events })
}

/// Which event is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventParams {
    source: Option<String>,
}

/// `GET /v1/events/{id}?source=`: how far an event is.
///
/// # Errors
/// 404 when it is not known.
pub async fn show_event(
    _: IngestKey,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Params(params): Params<EventParams>,
) -> Result<Json<Value>, Problem> {
    let source = params.source.unwrap_or_else(|| state.ingest.default_source.clone());
    let rows = state.queue.event_rows(&source, &id).await?.ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_event",
            "no event has this id and source; name its source with ?source=",
        )
    })?;
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({ "id": row.id.to_string(), "sync_type": row.sync_type,
                    "external_id": row.external_id, "status": row.status,
                    "scheduled_at": row.scheduled_at, "processed_at": row.processed_at,
                    "waiting_for": row.waiting_reason, "error": error(row) })
        })
        .collect();
    Ok(Json(json!({ "id": id, "source": source, "rows": rows })))
}
