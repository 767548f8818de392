//! Finds the events in a body: one object, an array, or one object on each line. Pure.

use std::fmt;
use std::ops::Range;

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::repair::{repaired, without_mark};
use crate::http::problem::Problem;

/// The accepted content types.
const ACCEPTED: &str = "application/json, application/cloudevents+json, \
    application/cloudevents-batch+json or application/x-ndjson";

/// How the events of a body are laid out, according to its content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// One event.
    One,
    /// One event, or an array of events.
    OneOrMany,
    /// An array of events.
    Many,
    /// One event on each line.
    Lines,
}

impl Layout {
    /// Returns the layout for a content type.
    ///
    /// # Errors
    /// 415 for a content type that is not accepted.
    pub fn of(content_type: Option<&str>) -> Result<Self, Problem> {
        let essence =
            content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        match essence.as_str() {
            "application/json" => Ok(Self::OneOrMany),
            "application/cloudevents+json" => Ok(Self::One),
            "application/cloudevents-batch+json" => Ok(Self::Many),
            "application/x-ndjson" => Ok(Self::Lines),
            _ => Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                format!("send events as {ACCEPTED}"),
            )),
        }
    }
}

/// Finds the events in `body`. They are checked to be JSON, but not parsed to values yet.
///
/// # Errors
/// 400 for a body with another layout, 413 for more than `most` events, 422 for none.
pub fn events(layout: Layout, body: &[u8], most: usize) -> Result<Vec<Range<usize>>, Problem> {
    let text = without_mark(body);
    let is_array = text.trim_ascii_start().starts_with(b"[");
    let events = match (layout, is_array) {
        (Layout::Lines, _) => lines(body, most)?,
        (Layout::OneOrMany | Layout::Many, true) => array(body, most)?,
        (Layout::One | Layout::OneOrMany, _) => {
            let event: &RawValue = json(text, None)?;
            vec![within(body, event)]
        }
        (Layout::Many, false) => {
            json::<&RawValue>(text, None)?;
            return Err(malformed("a batch must be a JSON array of events"));
        }
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

/// Parses the `text` of an event.
///
/// # Errors
/// 400 for JSON that the parser cannot represent: deep nesting, or numbers that are too large.
pub fn value(index: usize, text: &str) -> Result<Value, Problem> {
    serde_json::from_slice(&repaired(text.as_bytes())).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        malformed(&format!(
            "event {index}, its line {line}, column {column}: nested too deeply, or a number out of range"
        ))
    })
}

/// Returns the position in `body` of `part`, which was read from it.
fn within(body: &[u8], part: &RawValue) -> Range<usize> {
    let start = part.get().as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.get().len()
}

/// Returns the elements of an array. Counting stops after `most`.
fn array(body: &[u8], most: usize) -> Result<Vec<Range<usize>>, Problem> {
    let mut places = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(without_mark(body));
    let read = reader.deserialize_seq(Elements { body, most, places: &mut places });
    if places.len() <= most {
        read.and_then(|()| reader.end()).map_err(|error| not_json(&error))?;
    }
    Ok(places)
}

/// Collects the positions of the elements, at most one more than allowed.
struct Elements<'a> {
    body: &'a [u8],
    most: usize,
    places: &'a mut Vec<Range<usize>>,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while self.places.len() <= self.most {
            let Some(element) = elements.next_element::<&'de RawValue>()? else { return Ok(()) };
            self.places.push(within(self.body, element));
        }
        Ok(())
    }
}

fn lines(body: &[u8], most: usize) -> Result<Vec<Range<usize>>, Problem> {
    let mut places = Vec::new();
    for (number, line) in body.split(|&byte| byte == b'\n').enumerate() {
        // Concatenated files can have a byte order mark in the middle.
        let line = without_mark(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if places.len() > most {
            break;
        }
        places.push(within(body, json(line, Some(number + 1))?));
    }
    Ok(places)
}

fn json<'de, T: Deserialize<'de>>(text: &'de [u8], line: Option<usize>) -> Result<T, Problem> {
    serde_json::from_slice(text).map_err(|error| match line {
        // The parser sees each line separately and always says line 1, so only its column is
        // useful.
        Some(line) => malformed(&format!("line {line}, column {}: not JSON", error.column())),
        None => not_json(&error),
    })
}

fn not_json(error: &serde_json::Error) -> Problem {
    malformed(&format!("not JSON: line {}, column {}", error.line(), error.column()))
}

fn malformed(detail: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail)
}
