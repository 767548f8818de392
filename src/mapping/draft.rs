//! Applies one compiled file to one event, property by property.
//!
//! These rules hold for each field. An absent value leaves the property alone. Null and blank text
//! clear it. An invalid value refuses the event or is left out with a warning. A required field
//! must be present on `created` and can never be cleared. Constants and settings are written on
//! every upsert; they never change, so they cost a call only for a record that lacks them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::field::{Field, Source};
use super::pointer::{Found, Pointer};
use super::transform::{Invalid, Outcome, Transform};
use super::{SlotRule, Warning};
use crate::event::Fault;

/// The verb for which required fields must be present.
const CREATED: &str = "created";
/// The longest text that HubSpot stores, in characters.
const MAX_VALUE_CHARS: usize = 65_536;
/// The longest external id, the same as for `subject`.
const MAX_ID_CHARS: usize = 512;

/// A change that is being built.
pub(super) struct Draft<'a> {
    verb: &'a str,
    data: &'a Map<String, Value>,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) associations: BTreeMap<String, Option<String>>,
    pub(super) warnings: Vec<Warning>,
    pub(super) faults: Vec<Fault>,
    /// The places whose value went into a property.
    written: BTreeSet<&'a str>,
    /// Values that did not go into a property: place, property, what happened. A warning follows
    /// unless another property uses the value.
    untold: Vec<(&'a str, String, &'static str)>,
}

impl<'a> Draft<'a> {
    pub(super) fn of(verb: &'a str, data: &'a Map<String, Value>) -> Self {
        Self {
            verb,
            data,
            properties: BTreeMap::new(),
            associations: BTreeMap::new(),
            warnings: Vec::new(),
            faults: Vec::new(),
            written: BTreeSet::new(),
            untold: Vec::new(),
        }
    }

    /// Returns the text of `field` if `data` is everything that is known.
    pub(super) fn whole(
        field: &'a Field,
        data: &'a Map<String, Value>,
    ) -> (Option<String>, Vec<Warning>) {
        let mut draft = Draft::of(CREATED, data);
        draft.write(field);
        (draft.properties.remove(&field.property), draft.warnings)
    }

    pub(super) fn write(&mut self, field: &'a Field) {
        match &field.source {
            Source::Constant(text) | Source::Setting(text) => self.set(field, text.clone()),
            Source::One { from, transform } => self.write_one(field, from, transform),
            Source::Join { parts, main, separator } => {
                self.write_joined(field, parts, *main, separator);
            }
        }
    }

    /// Writes the first place that has a value. If none has, the first place can clear the
    /// property.
    fn write_one(&mut self, field: &Field, places: &'a [Pointer], transform: &Transform) {
        let held = places.iter().find(|place| place.holds(self.data));
        let Some(from) = held.or(places.first()) else { return };
        let value = match from.find(self.data) {
            Found::Absent => return self.absent(field, from, false),
            Found::Null => return self.absent(field, from, true),
            Found::Blocked(at) => return self.blocked(&field.property, field.refuse, at),
            Found::Value(value) => value,
        };
        // Forms send blank text for a field that nobody filled in.
        if !from.holds(self.data) && field.when_absent.contains_key(self.verb) {
            return self.absent(field, from, false);
        }
        let outcome = transform.apply(value, self.data);
        for other in places.iter().filter(|place| *place != from && place.holds(self.data)) {
            if let Found::Value(value) = other.find(self.data)
                && transform.apply(value, self.data) != outcome
            {
                let message =
                    format!("{} is not used: {} comes first", other.in_event(), from.in_event());
                self.warn(&field.property, "not_used", message);
            }
        }
        match outcome {
            Ok(Outcome::Leave) => self.leave(field, from, "left alone"),
            Ok(Outcome::Set(text)) if text.is_empty() && field.required => {
                self.faults.push(empty(from));
            }
            Ok(Outcome::Set(text)) => {
                let picked = matches!(transform, Transform::Pick(_));
                if picked && text.is_empty() && from.holds(self.data) {
                    self.leave(field, from, "cleared");
                } else {
                    self.written.insert(from.text());
                }
                self.set(field, text);
            }
            Err(invalid) => {
                self.reject(&field.property, field.refuse, from.in_event(), invalid);
            }
        }
    }

    /// Joins the parts that are present. An event that names only some parts does not determine the
    /// whole, unless it is the first event. Null and blank parts count as known to be empty.
    fn write_joined(&mut self, field: &Field, parts: &[Pointer], main: usize, separator: &str) {
        let Some(texts) = self.parts(field, parts) else { return };
        let absent = texts.iter().filter(|part| matches!(part, Part::Absent)).count();
        let from = &parts[main];
        match &texts[main] {
            Part::Absent if absent == texts.len() => return self.absent(field, from, false),
            Part::Absent if self.verb == CREATED => {
                self.incomplete(field, parts);
                return self.absent(field, from, false);
            }
            Part::Null => return self.absent(field, from, true),
            Part::Text(text) if text.is_empty() && field.when_absent.contains_key(self.verb) => {
                return self.absent(field, from, false);
            }
            Part::Text(text) if text.is_empty() && field.required => {
                return self.faults.push(empty(from));
            }
            Part::Text(text) if text.is_empty() => return self.set(field, String::new()),
            Part::Absent | Part::Text(_) => {}
        }
        if absent > 0 && self.verb != CREATED {
            return self.incomplete(field, parts);
        }
        let known = texts.into_iter().filter_map(|part| match part {
            Part::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        });
        let text = known.collect::<Vec<_>>().join(separator);
        self.set(field, text);
    }

    fn incomplete(&mut self, field: &Field, parts: &[Pointer]) {
        let pointers: Vec<_> = parts.iter().map(Pointer::in_event).collect();
        let message = format!("left alone, since not all of {} were sent", pointers.join(", "));
        self.warn(&field.property, "incomplete_parts", message);
    }

    /// Returns the texts of the parts, unless one is invalid.
    fn parts(&mut self, field: &Field, parts: &[Pointer]) -> Option<Vec<Part>> {
        let mut texts = Vec::with_capacity(parts.len());
        for from in parts {
            match from.find(self.data) {
                Found::Absent => texts.push(Part::Absent),
                Found::Null => texts.push(Part::Null),
                Found::Blocked(at) => self.blocked(&field.property, field.refuse, at),
                Found::Value(value) => match Transform::Text.apply(value, self.data) {
                    Ok(Outcome::Set(text)) => texts.push(Part::Text(text)),
                    Ok(Outcome::Leave) => texts.push(Part::Absent),
                    Err(invalid) => {
                        self.reject(&field.property, field.refuse, from.in_event(), invalid);
                    }
                },
            }
        }
        (texts.len() == parts.len()).then_some(texts)
    }

    /// Notes a value that did not go into the property.
    fn leave(&mut self, field: &Field, from: &'a Pointer, instead: &'static str) {
        self.untold.push((from.text(), field.property.clone(), instead));
    }

    /// Adds warnings for the values that no property uses.
    pub(super) fn tell(&mut self) {
        for (place, property, instead) in std::mem::take(&mut self.untold) {
            if !self.written.contains(place) {
                let message = format!("{instead}: /data{place} is no word that the table knows");
                self.warn(&property, "unknown_option", message);
            }
        }
    }

    /// Handles a field whose value is absent or null.
    fn absent(&mut self, field: &Field, from: &Pointer, null: bool) {
        if let Some(text) = field.when_absent.get(self.verb) {
            self.set(field, text.clone());
        } else if field.required && (null || self.verb == CREATED) {
            let detail = if null { "is required, null cannot stand for it" } else { "is required" };
            self.faults.push(Fault::new(0, from.in_event(), "required", detail));
        } else if null {
            self.set(field, String::new());
        }
    }

    fn set(&mut self, field: &Field, mut text: String) {
        if let Some((end, _)) = text.char_indices().nth(MAX_VALUE_CHARS) {
            text.truncate(end);
            let message = format!("cut to the {MAX_VALUE_CHARS} characters that HubSpot keeps");
            self.warn(&field.property, "truncated", message);
        }
        self.properties.insert(field.property.clone(), text);
    }

    pub(super) fn associate(&mut self, slot: &SlotRule, from: &Pointer) {
        let target = match from.find(self.data) {
            Found::Absent => return,
            Found::Null => None,
            Found::Blocked(at) => return self.blocked(&slot.name, slot.refuse, at),
            Found::Value(value) => match reference(value) {
                Ok(target) => target,
                Err(invalid) => {
                    return self.reject(&slot.name, slot.refuse, from.in_event(), invalid);
                }
            },
        };
        self.associations.insert(slot.name.clone(), target);
    }

    fn blocked(&mut self, name: &str, refuse: bool, at: String) {
        self.reject(name, refuse, at, Invalid::new("wrong_type", "must be an object"));
    }

    fn reject(&mut self, name: &str, refuse: bool, at: String, invalid: Invalid) {
        if refuse {
            self.faults.push(Fault::new(0, at, invalid.code, invalid.reason));
        } else {
            self.warn(name, invalid.code, format!("left out: {at} {}", invalid.reason));
        }
    }

    fn warn(&mut self, name: &str, code: &str, message: String) {
        let property = Some(name.to_owned());
        self.warnings.push(Warning { code: code.to_owned(), property, message });
    }
}

/// One part of a join.
enum Part {
    Absent,
    Null,
    Text(String),
}

fn empty(from: &Pointer) -> Fault {
    Fault::new(0, from.in_event(), "empty", "must not be empty")
}

/// Returns the external id of another record, exactly as that record's own events spell it. A blank
/// id removes the association.
pub(super) fn reference(value: &Value) -> Result<Option<String>, Invalid> {
    let id = match value {
        Value::String(id) => id.clone(),
        Value::Number(id) if !id.is_f64() => id.to_string(),
        _ => return Err(Invalid::new("wrong_type", "must be the id of another record")),
    };
    if id.chars().count() > MAX_ID_CHARS || id.chars().any(char::is_control) {
        let reason = format!("must be an id of at most {MAX_ID_CHARS} characters on one line");
        return Err(Invalid::new("invalid_reference", reason));
    }
    Ok(Some(id).filter(|id| !id.trim().is_empty()))
}
