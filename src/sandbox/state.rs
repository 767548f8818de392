//! Everything the simulated account holds, behind one lock in `Sandbox`.
//!
//! A record is found by its id, by an id that was merged into it, or by a unique value; the index
//! of unique values is changed only together with the record.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use super::clock;
use super::faults::Faults;
use super::kinds::Kind;
use super::limits::Limits;
use super::links::Links;
use super::pipelines::{self, Pipeline};
use super::schema::Schema;
use super::settings::Settings;
use super::view::CallView;

/// Calls kept in the log; the oldest go first.
const LOG_LIMIT: usize = 200_000;

/// One record.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) id: u64,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
    pub(super) archived_at: Option<DateTime<Utc>>,
}

/// The records and definitions of one kind.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) schema: Schema,
    pub(super) records: BTreeMap<u64, Record>,
    /// From an id that was merged away to the one that took over.
    pub(super) redirects: HashMap<u64, u64>,
    unique: HashMap<(String, String), u64>,
}

/// The account.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) faults: Faults,
    pub(super) stores: BTreeMap<Kind, Store>,
    pub(super) links: Links,
    pub(super) limits: Limits,
    pub(super) calls: VecDeque<CallView>,
    pub(super) owners: Vec<Value>,
    /// Addresses of people who asked to be forgotten.
    pub(super) forgotten: BTreeSet<String>,
    /// Inputs of batches seen so far.
    pub(super) inputs_seen: u64,
    pub(super) started: Instant,
    pipelines: BTreeMap<String, Vec<Pipeline>>,
    rng: StdRng,
    next_id: u64,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        let pipelines = pipelines::builtin();
        let currencies: Vec<String> = settings.currencies().cloned().collect();
        let stores = Kind::ALL
            .into_iter()
            .map(|kind| {
                let own = pipelines.get(kind.plural()).map_or(&[][..], Vec::as_slice);
                (kind, Store::new(Schema::builtin(kind, own, &currencies)))
            })
            .collect();
        let today = clock::day(clock::now(), &settings.time_zone);
        let limits = Limits::new(
            settings.limit_per_10s,
            settings.daily_limit,
            settings.search_per_second,
            today,
        );
        let faults = settings.faults.clone();
        let rng = StdRng::seed_from_u64(settings.seed);
        let mut state = Self {
            settings,
            faults: Faults::default(),
            stores,
            links: Links::default(),
            limits,
            calls: VecDeque::new(),
            owners: pipelines::owners(),
            forgotten: BTreeSet::new(),
            inputs_seen: 0,
            started: Instant::now(),
            pipelines,
            rng,
            next_id: 5000,
        };
        state.set_faults(faults);
        state
    }

    pub(super) fn set_faults(&mut self, faults: Faults) {
        if let Some(remaining) = faults.daily_remaining
            && self.faults.daily_remaining != faults.daily_remaining
        {
            self.limits.leave_today(remaining);
        }
        if faults.daily_remaining.is_none() && self.faults.daily_remaining.is_some() {
            self.limits.leave_today(self.limits.daily());
        }
        self.faults = faults;
    }

    pub(super) fn store(&self, kind: Kind) -> &Store {
        &self.stores[&kind]
    }

    pub(super) fn store_mut(&mut self, kind: Kind) -> &mut Store {
        // Every kind has a store from the start.
        self.stores.entry(kind).or_insert_with(|| Store::new(Schema::builtin(kind, &[], &[])))
    }

    pub(super) fn pipelines_of(&self, kind: Kind) -> &[Pipeline] {
        self.pipelines.get(kind.plural()).map_or(&[], Vec::as_slice)
    }

    /// An id no record ever had; ids have gaps.
    pub(super) fn new_id(&mut self) -> u64 {
        self.next_id += self.rng.random_range(1..=9);
        self.next_id
    }

    /// Results never come in the order of the inputs.
    pub(super) fn shuffle<T>(&mut self, results: &mut [T]) {
        results.shuffle(&mut self.rng);
    }

    pub(super) fn log(&mut self, call: CallView) {
        if self.calls.len() >= LOG_LIMIT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Takes a record out of use: no links, and by default no unique values.
    pub(super) fn archive(&mut self, kind: Kind, id: u64) -> bool {
        let keep_unique = self.faults.keep_unique_on_archive;
        let store = self.store_mut(kind);
        let Some(mut record) = store.live(id).cloned() else { return false };
        let id = record.id;
        record.archived_at = Some(clock::now());
        if keep_unique {
            store.records.insert(id, record);
        } else {
            store.put(record);
        }
        self.links.forget((kind, id));
        true
    }
}

impl Store {
    fn new(schema: Schema) -> Self {
        Self { schema, records: BTreeMap::new(), redirects: HashMap::new(), unique: HashMap::new() }
    }

    /// The id a record goes by now.
    pub(super) fn current_id(&self, mut id: u64) -> u64 {
        while let Some(next) = self.redirects.get(&id) {
            id = *next;
        }
        id
    }

    /// A record that is neither archived nor erased.
    pub(super) fn live(&self, id: u64) -> Option<&Record> {
        self.records.get(&self.current_id(id)).filter(|r| r.archived_at.is_none())
    }

    /// Reads an id as a caller writes it.
    pub(super) fn live_text(&self, id: &str) -> Option<&Record> {
        self.live(id.parse().ok()?)
    }

    /// The owner of a unique value; addresses are compared in lower case.
    pub(super) fn owner_of(&self, property: &str, value: &str) -> Option<u64> {
        let value = if property == "email" { value.to_lowercase() } else { value.to_owned() };
        self.unique.get(&(property.to_owned(), value)).copied()
    }

    /// Stores a record and brings the index of unique values up to date.
    pub(super) fn put(&mut self, record: Record) {
        self.unindex(record.id);
        if record.archived_at.is_none() {
            for key in self.unique_keys(&record.properties) {
                self.unique.insert(key, record.id);
            }
        }
        self.records.insert(record.id, record);
    }

    /// Removes a record for good.
    pub(super) fn remove(&mut self, id: u64) -> Option<Record> {
        self.unindex(id);
        self.records.remove(&id)
    }

    /// The unique values among some properties, as the index has them.
    pub(super) fn unique_keys(
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

/// All addresses of a contact, primary first; none for other kinds.
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
