//! Bodies of events: one object, an array, or a line each. Pure.

use axum::http::StatusCode;
use serde_json::Value;

use super::problem::Problem;

/// The content types of events.
const ACCEPTED: &str = "application/json, application/cloudevents+json, \
    application/cloudevents-batch+json or application/x-ndjson";

/// How a body is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    One,
    OneOrMany,
    Many,
    Lines,
}

/// The raw events of `body`.
///
/// # Errors
/// 415 for a content type that is none of ours, 400 for a body that is not of its type, 413 for
/// more than `most` events, 422 for none.
pub fn events(content_type: Option<&str>, body: &[u8], most: usize) -> Result<Vec<Value>, Problem> {
    let events = match (layout(content_type)?, body) {
        (Layout::Lines, body) => lines(body, most)?,
        (layout, body) => match (layout, json(body, None)?) {
            (Layout::OneOrMany | Layout::Many, Value::Array(events)) => events,
            (Layout::One | Layout::OneOrMany, event) => vec![event],
            (_, _) => {
                return Err(malformed("a batch must be a JSON array of events"));
            }
        },
    };
    if events.len() > most {
        let detail = format!("one request may carry {most} events; send the rest in a further one");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail));
    }
    if events.is_empty() {
        return Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "no_events",
            "the body holds no event",
        ));
    }
    Ok(events)
}

fn layout(content_type: Option<&str>) -> Result<Layout, Problem> {
    let essence =
        content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" => Ok(Layout::OneOrMany),
        "application/cloudevents+json" => Ok(Layout::One),
        "application/cloudevents-batch+json" => Ok(Layout::Many),
        "application/x-ndjson" => Ok(Layout::Lines),
        _ => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            format!("send events as {ACCEPTED}"),
        )),
    }
}

fn lines(body: &[u8], most: usize) -> Result<Vec<Value>, Problem> {
    let mut events = Vec::new();
    for (number, line) in body.split(|&byte| byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if events.len() > most {
            break;
        }
        events.push(json(line, Some(number + 1))?);
    }
    Ok(events)
}

fn json(text: &[u8], line: Option<usize>) -> Result<Value, Problem> {
    serde_json::from_slice(text).map_err(|error| match line {
        // The parser's own line is 1 here, so only its column tells something.
        Some(line) => malformed(&format!("line {line}, column {}: not JSON", error.column())),
        None => malformed(&format!("not JSON: line {}, column {}", error.line(), error.column())),
    })
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
}
