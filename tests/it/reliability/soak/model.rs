//! What HubSpot must hold, computed from the events alone and without the engine's own fold.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use hubferry::event::EventType;
use hubferry::mapping::{Change, Input, Mapping, ObjectKind, Operation};
use serde_json::Value;

/// One event of one record, and how its row ended.
#[derive(Debug, Clone)]
pub struct Told {
    /// Whose event it is: what people merged is told of by several.
    pub subject: Key,
    /// Event time and number of the row: the newest wins.
    pub stamp: (DateTime<Utc>, i64),
    pub change: Change,
    pub failed: bool,
    pub code: Option<String>,
    pub property: Option<String>,
    pub message: Option<String>,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.failed { "failed" } else { "synced" };
        write!(f, "row {}, {} of {}, {how}", self.stamp.1, self.change.operation, self.stamp.0)
    }
}

/// Sync type and external id.
pub type Key = (String, String);

/// What one record must look like.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    pub properties: BTreeMap<String, String>,
    /// Slot to the external id of its target.
    pub slots: BTreeMap<String, String>,
}

/// What `event` means; the script's events are all valid.
pub fn change(mapping: &Mapping, event: &Value) -> Change {
    let text = |key: &str| event[key].as_str().expect("text");
    let event_type: EventType = text("type").parse().expect("a type");
    let data = event["data"].as_object().expect("data");
    let input = Input { event_type: &event_type, subject: text("subject"), data };
    mapping.map(&input).expect("a valid event").remove(0)
}

/// When `event` happened.
pub fn time(event: &Value) -> DateTime<Utc> {
    event["time"].as_str().and_then(|t| t.parse().ok()).expect("a time")
}

/// The last word on everything, of those rows that count. `None`: nothing is left of the record.
pub fn last_words<'a>(mapping: &Mapping, told: impl Iterator<Item = &'a Told>) -> Option<Expected> {
    let all: Vec<&Told> = told.collect();
    // A delete voids what its own subject told before.
    let lives = |t: &&Told| {
        let own = || all.iter().copied().filter(|other| other.subject == t.subject);
        // An erasure counts by arrival.
        let erased = erasure(own());
        let later = |told: &Told| erased.is_none_or(|erased| told.stamp.1 > erased);
        let deletes = own().filter(|o| o.change.operation != Operation::Upsert && later(o));
        later(t) && deletes.map(|o| o.stamp).max().is_none_or(|dead| t.stamp > dead)
    };
    let mut told: Vec<&Told> = all.iter().copied().filter(lives).collect();
    told.sort_by_key(|t| t.stamp);
    let mut expected = None;
    let mut parts = BTreeMap::new();
    let sync_type = told.first().map(|t| t.change.sync_type.clone()).unwrap_or_default();
    for Told { change, .. } in told {
        parts.extend(change.parts.clone());
        let record = expected.get_or_insert_with(Expected::default);
        record.properties.extend(change.properties.clone());
        for (slot, target) in &change.associations {
            match target {
                Some(target) => drop(record.slots.insert(slot.clone(), target.clone())),
                None => drop(record.slots.remove(slot)),
            }
        }
    }
    // What is made of several values is made of the newest of each.
    if let Some(record) = &mut expected {
        for composed in mapping.compose(&sync_type, &parts) {
            record.properties.extend(composed.value.map(|value| (composed.property, value)));
        }
    }
    expected
}

/// The number of the last row that erases.
pub fn erasure<'a>(told: impl Iterator<Item = &'a Told>) -> Option<i64> {
    told.filter(|t| t.change.operation == Operation::Erase).map(|t| t.stamp.1).max()
}

/// Whether HubSpot would create such a record.
pub fn creatable(object: &ObjectKind, expected: &Expected) -> bool {
    let has = |name: &String| expected.properties.get(name).is_some_and(|v| !v.is_empty());
    object.required_on_create.iter().all(|choice| choice.iter().any(has))
}
