//! Admission turns a JSON value into an event, or names every fault of that value.
//!
//! All rules are checked even when the first one fails: a sender that learns of one fault at a time
//! has to send the same batch again for each. A `null` attribute counts as absent, as CloudEvents
//! allows.

mod identity;

use chrono::{DateTime, Datelike, Duration, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::fault::child;
use super::hash::{canonical_bytes, digest};
use super::weight::too_large;
use super::{Event, EventType, Fault, Priority};
use identity::{find_nul, identity};

/// The only portal that exists.
pub const DEFAULT_PORTAL: &str = "default";

/// The largest event accepted, in bytes of canonical JSON.
pub const MAX_EVENT_BYTES: usize = 256 * 1024;

const MAX_SUBJECT_CHARS: usize = 512;
/// The most faults listed for one event. The limit bounds the size of the answer.
const MAX_FAULTS: usize = 100;
/// How U+0000 is written in JSON.
const NUL: &[u8] = br"\u0000";
const MAX_ID_CHARS: usize = 255;
const YEARS: std::ops::RangeInclusive<i32> = 1970..=9999;

/// What admission needs to know besides the event itself.
#[derive(Debug, Clone, Copy)]
pub struct Admission<'a> {
    /// The source of an event that does not name one.
    pub default_source: &'a str,
    /// The current time by the database's clock.
    pub now: DateTime<Utc>,
    /// How far an event's time may lie ahead of `now`. An event from the far future would make
    /// every later event of the record look old, and so freeze the record.
    pub max_ahead: Duration,
}

/// Turns `raw` into an event, or returns all its faults, each with `index`. `new_id` is called only
/// for an event without an id.
pub fn admit(
    index: usize,
    raw: &Value,
    admission: &Admission<'_>,
    new_id: impl FnOnce() -> Uuid,
) -> Result<Event, Vec<Fault>> {
    admit_owned(index, &mut raw.clone(), admission, new_id)
}

/// Like [`admit`], but moves the data out of an admitted `raw`. A refused `raw` stays unchanged.
pub fn admit_owned(
    index: usize,
    raw: &mut Value,
    admission: &Admission<'_>,
    new_id: impl FnOnce() -> Uuid,
) -> Result<Event, Vec<Fault>> {
    let mut event = envelope(index, raw, admission, new_id)?;
    if let Some(Value::Object(data)) = raw.get_mut("data") {
        event.data = std::mem::take(data);
    }
    Ok(event)
}

/// Reads all attributes of the event except its data.
fn envelope(
    index: usize,
    raw: &Value,
    admission: &Admission<'_>,
    new_id: impl FnOnce() -> Uuid,
) -> Result<Event, Vec<Fault>> {
    let Value::Object(attributes) = raw else {
        return Err(vec![Fault::new(index, "", "wrong_type", "an event must be a JSON object")]);
    };
    let bytes = canonical_bytes(raw);
    let mut reader = Reader { index, attributes, faults: Vec::new() };
    if bytes.len() > MAX_EVENT_BYTES {
        reader.faults.push(too_large(index));
    }
    // The search below builds a pointer for every node, and almost no event needs it.
    if bytes.windows(NUL.len()).any(|window| window == NUL) {
        find_nul(raw, &mut String::new(), &mut |pointer| {
            let detail = "holds the character U+0000, which cannot be stored";
            reader.fault(pointer, "nul_character", detail);
        });
    }
    reader.check_envelope();
    let event_type = reader.event_type();
    let subject = reader.label("subject", MAX_SUBJECT_CHARS, true);
    let id = reader.label("id", MAX_ID_CHARS, false);
    let source = reader.label("source", MAX_ID_CHARS, false);
    let time = reader.time(admission);
    let priority = reader.priority();
    let data = reader.data();
    match (event_type, subject, data) {
        (Some(event_type), Some(subject), true) if reader.faults.is_empty() => Ok(Event {
            portal: DEFAULT_PORTAL.to_owned(),
            source: source.unwrap_or_else(|| admission.default_source.to_owned()),
            id: id.unwrap_or_else(|| new_id().to_string()),
            event_type,
            subject,
            time,
            priority,
            traceparent: attributes
                .get("traceparent")
                .and_then(Value::as_str)
                .and_then(traceparent),
            data: Map::new(),
            hash: digest(&identity(attributes).unwrap_or(bytes)),
        }),
        _ => Err(reader.faults),
    }
}

/// The parts of a refused event that can still be mapped: its type, subject and data. The faults of
/// its data can then be reported in the same answer.
pub fn legible(raw: &Value) -> Option<(EventType, &str, &Map<String, Value>)> {
    let event_type = raw.get("type")?.as_str()?.parse().ok()?;
    let subject = raw.get("subject").and_then(Value::as_str).unwrap_or_default();
    Some((event_type, subject, raw.get("data")?.as_object()?))
}

/// Reads one attribute after another and collects the faults.
struct Reader<'a> {
    index: usize,
    attributes: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn fault(&mut self, pointer: &str, code: &str, detail: impl Into<String>) {
        if self.faults.len() >= MAX_FAULTS {
            return;
        }
        self.faults.push(Fault::new(self.index, pointer, code, detail));
    }

    /// Returns the attribute unless it is absent or null.
    fn given(&self, name: &str) -> Option<&'a Value> {
        self.attributes.get(name).filter(|value| !value.is_null())
    }

    /// Returns the attribute as text, and notes a fault if it is anything else.
    fn text(&mut self, name: &str) -> Option<&'a str> {
        let text = self.given(name)?.as_str();
        if text.is_none() {
            self.fault(&child("", name), "wrong_type", format!("`{name}` must be a string"));
        }
        text
    }

    fn check_envelope(&mut self) {
        if self.text("specversion").is_some_and(|version| version != "1.0") {
            self.fault("/specversion", "unknown_specversion", "must be \"1.0\"");
        }
        if self.text("portal").is_some_and(|portal| portal != DEFAULT_PORTAL) {
            self.fault("/portal", "unknown_portal", "the only portal is `default`");
        }
        if self.text("datacontenttype").is_some_and(|kind| !is_json(kind)) {
            let detail = "`data` must be JSON: leave it out or send `application/json`";
            self.fault("/datacontenttype", "unsupported_content_type", detail);
        }
        for name in self.attributes.keys() {
            if name == "data_base64" {
                self.fault("/data_base64", "unsupported_attribute", "send `data` as JSON instead");
            } else if name.is_empty()
                || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            {
                let detail = "an attribute's name holds only a to z and 0 to 9";
                self.fault(&child("", name), "invalid_attribute_name", detail);
            }
        }
    }

    fn event_type(&mut self) -> Option<EventType> {
        if self.given("type").is_none() {
            self.fault("/type", "required", "`type` is required");
        }
        match self.text("type")?.parse() {
            Ok(event_type) => Some(event_type),
            Err(malformed) => {
                self.fault("/type", "invalid_event_type", format!("{malformed}"));
                None
            }
        }
    }

    /// Returns a non-empty text of at most `max` characters without control characters.
    fn label(&mut self, name: &str, max: usize, required: bool) -> Option<String> {
        let pointer = child("", name);
        if required && self.given(name).is_none() {
            self.fault(&pointer, "required", format!("`{name}` is required"));
        }
        let text = self.text(name)?;
        if text.trim().is_empty() {
            self.fault(&pointer, "empty", format!("`{name}` must not be empty"));
        } else if text.chars().count() > max {
            self.fault(&pointer, "too_long", format!("at most {max} characters"));
        } else if text.chars().any(char::is_control) {
            self.fault(&pointer, "control_character", "must not hold control characters");
        } else {
            return Some(text.to_owned());
        }
        None
    }

    fn time(&mut self, admission: &Admission<'_>) -> Option<DateTime<Utc>> {
        let text = self.text("time")?;
        let parsed = DateTime::parse_from_rfc3339(text).map(|time| whole_micros(time.to_utc()));
        match parsed {
            Ok(time) if YEARS.contains(&time.year()) => {
                let now = whole_micros(admission.now);
                if time.signed_duration_since(now) > admission.max_ahead {
                    let detail = "is further ahead of our clock than is allowed";
                    self.fault("/time", "time_in_future", detail);
                }
                Some(time)
            }
            _ => {
                let detail = "must be RFC 3339, such as 2026-11-20T10:00:00Z, from 1970 to 9999";
                self.fault("/time", "invalid_time", detail);
                None
            }
        }
    }

    fn priority(&mut self) -> Option<Priority> {
        match self.text("priority")?.parse() {
            Ok(priority) => Some(priority),
            Err(unknown) => {
                self.fault("/priority", "invalid_priority", format!("{unknown}"));
                None
            }
        }
    }

    /// Checks that data is present and is an object.
    fn data(&mut self) -> bool {
        let Some(data) = self.given("data") else {
            self.fault("/data", "required", "`data` is required");
            return false;
        };
        if !data.is_object() {
            self.fault("/data", "wrong_type", "`data` must be a JSON object");
        }
        data.is_object()
    }
}

/// Returns `text` if it is a W3C traceparent of a supported version. Anything else is ignored, as
/// the Trace Context recommendation asks.
#[must_use]
pub fn traceparent(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.trim().split('-').collect();
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let &[version, trace, parent, flags] = parts.as_slice() else { return None };
    let whole = hex(version, 2) && hex(trace, 32) && hex(parent, 16) && hex(flags, 2);
    let set = |part: &str| part.bytes().any(|b| b != b'0');
    (whole && version != "ff" && set(trace) && set(parent)).then(|| text.trim().to_owned())
}

/// Cuts a time to microseconds, which is what Postgres stores. A leap second becomes the second
/// after it.
fn whole_micros(time: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(time.timestamp_micros()).unwrap_or(time)
}

/// Whether a media type is JSON: `application/json` or any `+json`, with any parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}
