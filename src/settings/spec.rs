//! What a setting is, and the rules for its values.

use std::collections::BTreeSet;

use serde_json::Value;

use super::SPECS;
use crate::event::{EventType, Priority};

/// What kind of value a setting takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// True or false.
    Flag,
    /// A whole number within these bounds.
    Whole(i64, i64),
    /// A number within these bounds.
    Number(f64, f64),
    /// Whole seconds, at least one. The lease sets the upper limit.
    Timeout,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A map from event types, or `<entity>.*`, to priorities.
    Priorities,
}

/// A setting that can change while the service runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The dotted key, as in config/default.toml.
    pub key: &'static str,
    /// What kind of value it takes.
    pub kind: Kind,
    /// The unit of its number.
    pub unit: Option<&'static str>,
    /// The well-known environment variable for it.
    pub variable: Option<&'static str>,
    /// What it does, in a sentence.
    pub description: &'static str,
}

/// Limits on values that are not in the specs.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// The longest timeout of a call that the lease allows, in seconds.
    pub longest_timeout: i64,
    /// The event types that the mapping knows. `None` if it has not been read.
    pub event_types: Option<BTreeSet<String>>,
    /// Whether there is a token to send with.
    pub can_send: bool,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The member of the value that is wrong, for a map.
    pub member: Option<String>,
    /// A stable snake_case code for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub detail: String,
}

impl Spec {
    /// Returns the setting with this key.
    #[must_use]
    pub fn of(key: &str) -> Option<&'static Self> {
        SPECS.iter().find(|spec| spec.key == key)
    }

    /// Returns the smallest and the largest value, for a number.
    #[must_use]
    pub fn range(&self, bounds: &Bounds) -> Option<(Value, Value)> {
        match self.kind {
            Kind::Whole(least, most) => Some((least.into(), most.into())),
            Kind::Number(least, most) => Some((least.into(), most.into())),
            Kind::Timeout => Some((1.into(), bounds.longest_timeout.into())),
            Kind::Flag | Kind::Choice(_) | Kind::Priorities => None,
        }
    }

    /// Returns everything that is wrong with `value`.
    #[must_use]
    pub fn check(&self, value: &Value, bounds: &Bounds) -> Vec<Wrong> {
        match self.kind {
            Kind::Flag => match value.as_bool() {
                Some(true) if self.key == "worker.enabled" && !bounds.can_send => vec![wrong(
                    "no_token",
                    "there is no token to send with: set HUBSPOT_API_KEY and start the service again, then enable it",
                )],
                Some(_) => Vec::new(),
                None => vec![wrong("wrong_type", "must be true or false")],
            },
            Kind::Whole(least, most) => whole(value, least, most),
            Kind::Timeout => whole(value, 1, bounds.longest_timeout),
            Kind::Number(least, most) => match value.as_f64() {
                Some(number) if (least..=most).contains(&number) => Vec::new(),
                Some(_) => vec![out_of_range(least, most)],
                None => vec![wrong("wrong_type", "must be a number")],
            },
            Kind::Choice(words) => match value.as_str() {
                Some(word) if words.contains(&word) => Vec::new(),
                Some(_) => vec![wrong("unknown_choice", format!("must be {}", words.join(" or ")))],
                None => vec![wrong("wrong_type", format!("must be {}", words.join(" or ")))],
            },
            Kind::Priorities => priorities(value, bounds),
        }
    }
}

fn wrong(code: &'static str, detail: impl Into<String>) -> Wrong {
    Wrong { member: None, code, detail: detail.into() }
}

fn out_of_range(least: impl std::fmt::Display, most: impl std::fmt::Display) -> Wrong {
    wrong("out_of_range", format!("must be between {least} and {most}"))
}

fn whole(value: &Value, least: i64, most: i64) -> Vec<Wrong> {
    match value.as_i64() {
        Some(number) if (least..=most).contains(&number) => Vec::new(),
        // A whole number of more than 64 bits is out of range, not of the wrong type.
        Some(_) => vec![out_of_range(least, most)],
        None if value.is_u64() => vec![out_of_range(least, most)],
        None => vec![wrong("wrong_type", "must be a whole number")],
    }
}

fn priorities(value: &Value, bounds: &Bounds) -> Vec<Wrong> {
    let Some(map) = value.as_object() else {
        return vec![wrong(
            "wrong_type",
            "must be a map of event types to high, normal or low, such as {\"user.*\": \"low\"}",
        )];
    };
    let mut found = Vec::new();
    for (name, priority) in map {
        let member = || Some(name.clone());
        if !is_known(name, bounds) {
            let detail = match &bounds.event_types {
                Some(types) => {
                    let types: Vec<&str> = types.iter().map(String::as_str).collect();
                    format!("must be <entity>.* or one of {}", types.join(", "))
                }
                None => "must be <entity>.* or <entity>.<verb> in lower case".to_owned(),
            };
            found.push(Wrong { member: member(), code: "unknown_event_type", detail });
        }
        if priority.as_str().is_none_or(|word| word.parse::<Priority>().is_err()) {
            let detail = "must be high, normal or low".to_owned();
            found.push(Wrong { member: member(), code: "unknown_priority", detail });
        }
    }
    found
}

/// Whether the mapping knows this event type or entity.
fn is_known(name: &str, bounds: &Bounds) -> bool {
    match (&bounds.event_types, name.strip_suffix(".*")) {
        (Some(types), None) => types.contains(name),
        (Some(types), Some(entity)) => {
            types.iter().any(|known| known.split_once('.').is_some_and(|(e, _)| e == entity))
        }
        (None, None) => name.parse::<EventType>().is_ok(),
        (None, Some(entity)) => format!("{entity}.verb").parse::<EventType>().is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn codes(key: &str, value: Value) -> Vec<&'static str> {
        let types = ["user.updated", "user.deleted"].map(str::to_owned);
        let bounds =
            Bounds { longest_timeout: 19, event_types: Some(types.into()), ..Bounds::default() };
        let wrong = Spec::of(key).unwrap().check(&value, &bounds);
        wrong.into_iter().map(|w| w.code).collect()
    }

    #[test]
    fn each_kind_of_value_has_its_bounds() {
        let cases = [
            ("retry.max_retries", json!(0), None),
            ("retry.max_retries", json!(30), None),
            ("retry.max_retries", json!(31), Some("out_of_range")),
            ("retry.max_retries", json!(-1), Some("out_of_range")),
            ("retry.max_retries", json!(u64::MAX), Some("out_of_range")),
            ("retry.max_retries", json!(1.5), Some("wrong_type")),
            ("retry.max_retries", json!("3"), Some("wrong_type")),
            ("retry.factor", json!(2), None),
            ("retry.factor", json!(0.5), Some("out_of_range")),
            ("retry.rejected", json!("yes"), Some("wrong_type")),
            ("adopted.on_delete", json!("archive"), None),
            ("adopted.on_erase", json!("archive"), Some("unknown_choice")),
            ("adopted.on_erase", json!(true), Some("wrong_type")),
            ("worker.enabled", json!(false), None),
            ("worker.enabled", json!(true), Some("no_token")),
            ("hubspot.timeout_seconds", json!(19), None),
            ("hubspot.timeout_seconds", json!(20), Some("out_of_range")),
            ("ingest.priorities", json!({ "user.*": "low", "user.deleted": "high" }), None),
            ("ingest.priorities", json!({ "use.*": "low" }), Some("unknown_event_type")),
            ("ingest.priorities", json!({ "user.updatd": "low" }), Some("unknown_event_type")),
            ("ingest.priorities", json!({ "user.updated": "urgent" }), Some("unknown_priority")),
            ("ingest.priorities", json!([]), Some("wrong_type")),
        ];
        for (key, value, code) in cases {
            let found = codes(key, value.clone());
            assert_eq!(found, code.into_iter().collect::<Vec<_>>(), "{key} = {value}");
        }
        assert_eq!(codes("ingest.priorities", json!({ "a": 1 })).len(), 2, "all that is wrong");
    }
}
