//! Turns the body of a request into events that can be stored, or returns all their faults.

use std::ops::Range;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::body::{self, Held, SMALL};
use super::parse::{self, Layout};
use crate::access::Actor;
use crate::event::{Admission, Fault, Faults, admit_owned, is_too_large, legible, traceparent};
use crate::http::AppState;
use crate::http::problem::Problem;
use crate::mapping::Input;
use crate::queue::intake::enqueue::Admitted;

/// The events of a request, and the memory reserved for them until they are answered.
#[derive(Debug)]
pub(in crate::http) struct Read {
    pub(in crate::http) events: Vec<Admitted>,
    pub(in crate::http) room: Option<Held>,
}

/// Reads, checks and maps the events of a request, and counts them for the rate limit of `sender`.
///
/// # Errors
/// 400, 413, 415, 429, 422 with the faults of all events, 503 if too much is being sent at once.
pub(in crate::http) async fn read(
    state: &AppState,
    request: Request,
    sender: Option<&Actor>,
) -> Result<Read, Problem> {
    let (parts, body) = request.into_parts();
    let text = |name: &str| parts.headers.get(name).and_then(|v| v.to_str().ok());
    // The content type is checked first, so that a wrong one is refused without reading the body.
    let layout = Layout::of(text(header::CONTENT_TYPE.as_str()))?;
    let trace = text("traceparent").and_then(traceparent);
    let (most, room) = (state.ingest.max_body, &state.room);
    let body = body::read(&parts.headers, body, most, room).await?;
    let now = state.queue.about_now().await?;
    let is_small = body.bytes.len() <= SMALL;
    let most = state.ingest.max_events;
    let find = move || {
        let places = parse::events(layout, &body.bytes, most);
        (body, places)
    };
    // Longer work runs on another thread, because other requests wait for this one.
    let (body, places) = if is_small { find() } else { state.parser.run(find).await? };
    let places = places?;
    if let Some(sender) = sender {
        state.rate.take(&sender.name, places.len())?;
    }
    if is_small {
        let events = admit_all(state, &body.bytes, &places, now, trace.as_deref())?;
        return Ok(Read { events, room: None });
    }
    let held = room.store(body.bytes.len(), places.len()).await?;
    let working = state.clone();
    let admitted = move || admit_all(&working, &body.bytes, &places, now, trace.as_deref());
    Ok(Read { events: state.parser.run(admitted).await??, room: Some(held) })
}

/// Checks and maps the events at `places` of `body`, one after another, or returns all their
/// faults.
fn admit_all(
    state: &AppState,
    body: &[u8],
    places: &[Range<usize>],
    now: DateTime<Utc>,
    trace: Option<&str>,
) -> Result<Vec<Admitted>, Problem> {
    let admission = Admission {
        default_source: &state.ingest.default_source,
        now,
        max_ahead: state.ingest.max_ahead,
    };
    let settings = state.operator.settings_now();
    let (mut admitted, mut faults) = (Vec::with_capacity(places.len()), Faults::default());
    for (index, place) in places.iter().enumerate() {
        // The body was parsed as text before.
        let text = body.get(place.clone()).and_then(|text| std::str::from_utf8(text).ok());
        let text = text.ok_or_else(Problem::internal)?;
        if let Some(fault) = is_too_large(index, text) {
            faults.push(fault);
            continue;
        }
        let mut raw = parse::value(index, text)?;
        let mut event = match admit_owned(index, &mut raw, &admission, Uuid::now_v7) {
            Ok(event) => event,
            Err(found) => {
                faults.extend(found);
                faults.extend(faults_of_data(state, index, &raw));
                continue;
            }
        };
        match state.mapping.map(&Input::from(&event)) {
            // After a fault nothing is stored, so admitted events are dropped.
            Ok(_) if !faults.is_empty() => {}
            Ok(changes) => {
                event.traceparent = event.traceparent.or_else(|| trace.map(str::to_owned));
                let usual = settings.values.priorities.of(&event.event_type);
                event.priority = event.priority.or(usual);
                admitted.push(Admitted::new(event, changes));
            }
            Err(found) => faults.extend(found.into_iter().map(|fault| Fault { index, ..fault })),
        }
    }
    if faults.is_empty() {
        return Ok(admitted);
    }
    metrics::counter!("hubferry_events_refused_total").increment(places.len() as u64);
    Err(Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "invalid_event",
        "nothing was stored; `errors` names faults by the event's index and a JSON pointer into it",
    )
    .with_faults(faults))
}

/// Returns the faults in the data of a refused event, so that the answer lists them too.
fn faults_of_data(state: &AppState, index: usize, raw: &Value) -> Vec<Fault> {
    let Some((event_type, subject, data)) = legible(raw) else { return Vec::new() };
    let input = Input { event_type: &event_type, subject, data };
    let found = state.mapping.map(&input).err().unwrap_or_default();
    found.into_iter().map(|fault| Fault { index, ..fault }).collect()
}
