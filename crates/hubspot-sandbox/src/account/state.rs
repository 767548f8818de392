//! The complete state of the simulated account, behind one lock in `Sandbox`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::account::call_log::CallView;
use crate::account::limits::Limits;
use crate::account::links::Links;
use crate::account::pipelines::{self, Pipeline};
use crate::account::schema::Schema;
use crate::account::store::Store;
use crate::clock;
use crate::faults::Faults;
use crate::kinds::Kind;
use crate::settings::Settings;

/// The number of calls kept in the log. The oldest are removed first.
const LOG_LIMIT: usize = 200_000;

/// The state of the account.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) faults: Faults,
    pub(crate) stores: BTreeMap<Kind, Store>,
    pub(crate) links: Links,
    pub(crate) limits: Limits,
    pub(crate) calls: VecDeque<CallView>,
    pub(crate) owners: Vec<Value>,
    /// The addresses of erased contacts.
    pub(crate) forgotten: BTreeSet<String>,
    /// The number of batch inputs so far.
    pub(crate) inputs_seen: u64,
    pub(crate) started: Instant,
    pipelines: BTreeMap<String, Vec<Pipeline>>,
    rng: StdRng,
    next_id: u64,
}

impl State {
    pub(crate) fn new(settings: Settings) -> Self {
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

    pub(crate) fn set_faults(&mut self, faults: Faults) {
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

    pub(crate) fn store(&self, kind: Kind) -> &Store {
        &self.stores[&kind]
    }

    pub(crate) fn store_mut(&mut self, kind: Kind) -> &mut Store {
        // Every kind has a store from the start.
        self.stores.entry(kind).or_insert_with(|| Store::new(Schema::builtin(kind, &[], &[])))
    }

    pub(crate) fn pipelines_of(&self, kind: Kind) -> &[Pipeline] {
        self.pipelines.get(kind.plural()).map_or(&[], Vec::as_slice)
    }

    /// Returns an id that no record ever had. There are gaps between ids.
    pub(crate) fn new_id(&mut self) -> u64 {
        self.next_id += self.rng.random_range(1..=9);
        self.next_id
    }

    /// Shuffles results, because HubSpot does not return them in the order of the inputs.
    pub(crate) fn shuffle<T>(&mut self, results: &mut [T]) {
        results.shuffle(&mut self.rng);
    }

    pub(crate) fn log(&mut self, call: CallView) {
        if self.calls.len() >= LOG_LIMIT {
            self.calls.pop_front();
        }
        self.calls.push_back(call);
    }

    /// Archives a record: removes its associations and, by default, its unique values.
    pub(crate) fn archive(&mut self, kind: Kind, id: u64) -> bool {
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
