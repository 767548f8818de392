//! The identity of an event: what two deliveries of one event have in common.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value};

use super::whole_micros;

use crate::event::fault::child;
use crate::event::hash::canonical_bytes;

/// The bytes that identify an event under its id, where the text as sent does not: a retry has
/// another trace span, may write the time differently, and may leave out null attributes.
pub(super) fn identity(attributes: &Map<String, Value>) -> Option<Vec<u8>> {
    const TRACE: [&str; 2] = ["traceparent", "tracestate"];
    let time = attributes.get("time").and_then(Value::as_str);
    let written = time
        .and_then(|time| DateTime::parse_from_rfc3339(time).ok())
        .map(|parsed| whole_micros(parsed.to_utc()).to_rfc3339_opts(SecondsFormat::AutoSi, true));
    let left_out = |name: &str, value: &Value| value.is_null() || TRACE.contains(&name);
    if written.as_deref() == time && !attributes.iter().any(|(name, value)| left_out(name, value)) {
        return None;
    }
    let rest = attributes.iter().filter(|(name, value)| !left_out(name, value));
    let mut bytes = b"{".to_vec();
    for (place, (name, value)) in rest.enumerate() {
        if place > 0 {
            bytes.push(b',');
        }
        bytes.extend(canonical_bytes(&Value::from(name.as_str())));
        bytes.push(b':');
        match &written {
            Some(written) if name == "time" => {
                bytes.extend(canonical_bytes(&written.as_str().into()))
            }
            _ => bytes.extend(canonical_bytes(value)),
        }
    }
    bytes.push(b'}');
    Some(bytes)
}

/// Calls `found` with the pointer of every string or key below `at` that contains U+0000.
pub(super) fn find_nul(value: &Value, at: &mut String, found: &mut impl FnMut(&str)) {
    let here = at.len();
    match value {
        Value::String(text) if text.contains('\0') => found(at),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                find_nul(item, at, found);
                at.truncate(here);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                at.push_str(&child("", key));
                if key.contains('\0') {
                    found(at);
                }
                find_nul(member, at, found);
                at.truncate(here);
            }
        }
        _ => {}
    }
}
