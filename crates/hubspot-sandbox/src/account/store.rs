//! The records of one kind.
//!
//! A record is found by its id, by an id that was merged into it, or by a unique value. The index
//! of unique values changes only together with the record.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use crate::account::schema::Schema;

/// One record.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: u64,
    pub(crate) properties: BTreeMap<String, String>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) archived_at: Option<DateTime<Utc>>,
}

/// The records and definitions of one kind.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) schema: Schema,
    pub(crate) records: BTreeMap<u64, Record>,
    /// Maps an id that was merged away to its survivor.
    pub(crate) redirects: HashMap<u64, u64>,
    unique: HashMap<(String, String), u64>,
}

impl Store {
    pub(crate) fn new(schema: Schema) -> Self {
        Self { schema, records: BTreeMap::new(), redirects: HashMap::new(), unique: HashMap::new() }
    }

    /// Returns the current id of a record.
    pub(crate) fn current_id(&self, mut id: u64) -> u64 {
        while let Some(next) = self.redirects.get(&id) {
            id = *next;
        }
        id
    }

    /// Returns a record that is neither archived nor erased.
    pub(crate) fn live(&self, id: u64) -> Option<&Record> {
        self.records.get(&self.current_id(id)).filter(|r| r.archived_at.is_none())
    }

    /// Finds a live record by an id in text form.
    pub(crate) fn live_text(&self, id: &str) -> Option<&Record> {
        self.live(id.parse().ok()?)
    }

    /// Returns the record with a unique value. Addresses are compared in lower case.
    pub(crate) fn owner_of(&self, property: &str, value: &str) -> Option<u64> {
        let value = if property == "email" { value.to_lowercase() } else { value.to_owned() };
        self.unique.get(&(property.to_owned(), value)).copied()
    }

    /// Stores a record and updates the index of unique values.
    pub(crate) fn put(&mut self, record: Record) {
        self.unindex(record.id);
        if record.archived_at.is_none() {
            for key in self.unique_keys(&record.properties) {
                self.unique.insert(key, record.id);
            }
        }
        self.records.insert(record.id, record);
    }

    /// Removes a record permanently.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Record> {
        self.unindex(id);
        self.records.remove(&id)
    }

    /// Returns the unique values of some properties in the form used by the index.
    pub(crate) fn unique_keys(
        &self,
        properties: &BTreeMap<String, String>,
    ) -> Vec<(String, String)> {
        let mut keys: Vec<(String, String)> = self
            .schema
            .unique_names()
            .filter_map(|name| Some((name.to_owned(), properties.get(name)?.clone())))
            .collect();
        let addresses = addresses(properties, &self.schema);
        keys.extend(addresses.into_iter().map(|a| ("email".to_owned(), a)));
        keys.retain(|(_, value)| !value.is_empty());
        keys
    }

    fn unindex(&mut self, id: u64) {
        let Some(before) = self.records.get(&id) else { return };
        for key in self.unique_keys(&before.properties) {
            if self.unique.get(&key) == Some(&id) {
                self.unique.remove(&key);
            }
        }
    }
}

/// Returns all addresses of a contact, the primary one first; none for other kinds.
fn addresses(properties: &BTreeMap<String, String>, schema: &Schema) -> Vec<String> {
    if schema.live("hs_additional_emails").is_none() {
        return Vec::new();
    }
    let primary = properties.get("email").into_iter().cloned();
    let others = properties.get("hs_additional_emails").map_or("", String::as_str);
    primary
        .chain(others.split(';').map(|a| a.trim().to_lowercase()))
        .filter(|a| !a.is_empty())
        .collect()
}
