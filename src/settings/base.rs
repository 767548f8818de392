//! The settings a process was started with, and how stored values change them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::spec::{Bounds, Spec, Wrong};
use super::{Entry, Runtime, SPECS, Source, Values};
use crate::queue::settings::Stored;

/// The settings from defaults, file and environment.
#[derive(Debug, Clone)]
pub struct Base {
    values: Values,
    flat: Map<String, Value>,
    defaults: Map<String, Value>,
    sources: BTreeMap<&'static str, Source>,
    bounds: Bounds,
}

impl Base {
    /// Made from the checked values of the process, the compiled-in values, and where each value
    /// comes from if it is not compiled in.
    #[must_use]
    pub fn new(
        values: Values,
        defaults: &Values,
        sources: BTreeMap<&'static str, Source>,
        bounds: Bounds,
    ) -> Self {
        Self { flat: flat(&values), defaults: flat(defaults), values, sources, bounds }
    }

    /// Returns the values by key, without stored values.
    #[must_use]
    pub fn flat(&self) -> &Map<String, Value> {
        &self.flat
    }

    /// Returns everything that is wrong with `changes`, each with its key.
    #[must_use]
    pub fn check(&self, changes: &BTreeMap<String, Option<Value>>) -> Vec<(String, Wrong)> {
        let mut found = Vec::new();
        for (key, value) in changes {
            let wrong = match (Spec::of(key), value) {
                (None, _) => vec![unknown()],
                (Some(_), None) => Vec::new(),
                (Some(spec), Some(value)) => spec.check(value, &self.bounds),
            };
            found.extend(wrong.into_iter().map(|wrong| (key.clone(), wrong)));
        }
        found
    }

    /// Returns the settings in force if nothing is stored.
    #[must_use]
    pub fn alone(&self) -> Runtime {
        let entries = SPECS.iter().map(|spec| self.entry(spec, None)).collect();
        Runtime { values: self.values.clone(), entries, unknown: Vec::new() }
    }

    /// Returns the settings in force with the `stored` values. A stored value that is no longer
    /// valid, such as a timeout that a shorter lease does not allow, is ignored and marked with the
    /// reason.
    ///
    /// # Errors
    /// When valid values cannot be read, which is a bug.
    pub fn resolve(&self, stored: &[Stored]) -> Result<Runtime, serde_json::Error> {
        let entry = |spec| self.entry(spec, stored.iter().find(|s| s.key == spec.key));
        let entries: Vec<Entry> = SPECS.iter().map(entry).collect();
        let changed = entries.iter().any(|entry| entry.source == Source::Stored);
        let values = if changed {
            let all = entries.iter().map(|e| (e.spec.key.to_owned(), e.value.clone())).collect();
            serde_json::from_value(Value::Object(all))?
        } else {
            self.values.clone()
        };
        let unknown = stored.iter().filter(|s| Spec::of(&s.key).is_none());
        Ok(Runtime { values, entries, unknown: unknown.map(|s| s.key.clone()).collect() })
    }

    fn entry(&self, spec: &'static Spec, stored: Option<&Stored>) -> Entry {
        let usual = self.flat.get(spec.key).cloned().unwrap_or(Value::Null);
        let source = self.sources.get(spec.key).copied().unwrap_or(Source::Default);
        let wrong = stored.and_then(|s| spec.check(&s.value, &self.bounds).into_iter().next());
        let ignored = wrong.map(|wrong| match wrong.member {
            Some(member) => format!("{member}: {}", wrong.detail),
            None => wrong.detail,
        });
        let (value, source) = match stored {
            Some(stored) if ignored.is_none() => (stored.value.clone(), Source::Stored),
            _ => (usual, source),
        };
        Entry {
            spec,
            value,
            default: self.defaults.get(spec.key).cloned().unwrap_or(Value::Null),
            source,
            range: spec.range(&self.bounds),
            changed_at: stored.map(|s| s.changed_at),
            changed_by: stored.map(|s| s.changed_by.clone()),
            ignored,
        }
    }
}

fn unknown() -> Wrong {
    let keys: Vec<&str> = SPECS.iter().map(|spec| spec.key).collect();
    let detail = format!("cannot be set while the service runs; these can: {}", keys.join(", "));
    Wrong { member: None, code: "unknown_setting", detail }
}

/// Returns the values by key. They are plain data, so this cannot fail.
fn flat(values: &Values) -> Map<String, Value> {
    match serde_json::to_value(values) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_keys_of_their_specs_and_can_be_read_back() {
        let values = Values::default();
        let map = flat(&values);
        let keys: Vec<&str> = map.keys().map(String::as_str).collect();
        let mut specs: Vec<&str> = SPECS.iter().map(|spec| spec.key).collect();
        specs.sort_unstable();
        let mut sorted = keys.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, specs);
        assert_eq!(serde_json::from_value::<Values>(Value::Object(map)).unwrap(), values);
    }
}
