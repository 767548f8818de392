//! The handle of a simulated account, and the actions of people in it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::account::call_log::CallView;
use crate::account::state::State;
use crate::api::properties;
use crate::faults::Faults;
use crate::kinds::{Kind, Version};
use crate::settings::Settings;
use crate::view::{self, AssociationView, ObjectView};
use crate::wire::reply::{Payload, Refusal, Reply};

/// A simulated account. All clones share the account.
#[derive(Clone)]
pub struct Sandbox {
    state: Arc<Mutex<State>>,
    pub(crate) closing: CancellationToken,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Makes an account without records.
    pub fn new(settings: Settings) -> Self {
        let state = Arc::new(Mutex::new(State::new(settings)));
        Self { state, closing: CancellationToken::new() }
    }

    /// Returns the live records of a type (`contacts`, `contact` or `0-1`), by id.
    pub fn objects(&self, object_type: &str) -> Vec<ObjectView> {
        Kind::parse(object_type).map(|kind| view::objects(&self.lock(), kind)).unwrap_or_default()
    }

    /// Returns all associations, each once for every direction and type.
    pub fn associations(&self) -> Vec<AssociationView> {
        view::associations(&self.lock())
    }

    /// Returns the API calls so far, oldest first, without those to the control endpoints.
    pub fn calls(&self) -> Vec<CallView> {
        self.lock().calls.iter().cloned().collect()
    }

    /// Empties the call log. Limits and the peak stay.
    pub fn clear_calls(&self) {
        self.lock().calls.clear();
    }

    /// Replaces all faults.
    pub fn set_faults(&self, faults: Faults) {
        self.lock().set_faults(faults);
    }

    /// Returns the faults in force, with the rest of their counters.
    pub fn faults(&self) -> Faults {
        self.lock().faults.clone()
    }

    /// Returns the most calls, refused ones included, that ever arrived within ten seconds.
    pub fn peak_window(&self) -> usize {
        self.lock().limits.peak()
    }

    /// Merges two records and returns the id of the survivor, or nothing if one does not exist.
    pub fn merge(&self, object_type: &str, primary_id: &str, other_id: &str) -> Option<String> {
        let kind = Kind::parse(object_type)?;
        let (primary, other) = (primary_id.parse().ok()?, other_id.parse().ok()?);
        self.lock().merge_records(kind, primary, other).ok().map(|id| id.to_string())
    }

    /// Moves a record to the recycle bin. Returns false if it does not exist.
    pub fn archive(&self, object_type: &str, id: &str) -> bool {
        let (Some(kind), Ok(id)) = (Kind::parse(object_type), id.parse()) else { return false };
        self.lock().archive(kind, id)
    }

    /// Erases a record permanently, as a data protection request does. Returns false if it does not
    /// exist.
    pub fn erase(&self, object_type: &str, id: &str) -> bool {
        let (Some(kind), Ok(id)) = (Kind::parse(object_type), id.parse()) else { return false };
        self.lock().erase(kind, id)
    }

    /// Changes properties of a record as a person in the CRM would. Returns false if it was
    /// refused.
    pub fn edit(&self, object_type: &str, id: &str, properties: &[(&str, &str)]) -> bool {
        self.try_edit(object_type, id, &owned(properties)).is_ok()
    }

    /// Creates a record as a person in the CRM would. Returns its id, or an empty text if it was
    /// refused.
    pub fn create(&self, object_type: &str, properties: &[(&str, &str)]) -> String {
        self.try_create(object_type, &owned(properties)).unwrap_or_default()
    }

    /// Adds a property definition, in the JSON form of the API. Returns false if it was refused.
    pub fn define_property(&self, object_type: &str, definition: &serde_json::Value) -> bool {
        let Some(kind) = Kind::parse(object_type) else { return false };
        properties::define(&mut self.lock(), kind, definition).is_ok()
    }

    /// Empties the account: records, definitions, log, counters, faults.
    pub fn reset(&self) {
        let mut state = self.lock();
        let settings = state.settings.clone();
        *state = State::new(settings);
    }

    /// Empties the account like [`Self::reset`], but keeps its definitions.
    pub fn clear_records(&self) {
        let mut state = self.lock();
        let mut empty = State::new(state.settings.clone());
        for (kind, store) in &mut empty.stores {
            std::mem::swap(&mut store.schema, &mut state.store_mut(*kind).schema);
        }
        *state = empty;
    }

    pub(crate) fn try_create(
        &self,
        object_type: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let kind = Kind::parse(object_type).ok_or_else(|| "no such object type".to_owned())?;
        let written = self.lock().create(kind, Version::Old, properties, &[]);
        written.map(|w| w.id.to_string()).map_err(said)
    }

    pub(crate) fn try_edit(
        &self,
        object_type: &str,
        id: &str,
        properties: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let kind = Kind::parse(object_type).ok_or_else(|| "no such object type".to_owned())?;
        let id = id.parse().map_err(|_| "no such record".to_owned())?;
        self.lock().update(kind, Version::Old, id, properties).map(drop).map_err(said)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not longer than the server runs.
    pub(crate) async fn wait(&self, time: Duration) {
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            () = self.closing.cancelled() => {}
        }
    }
}

fn owned(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Returns the message of a refusal.
fn said(refusal: Refusal) -> String {
    match Reply::from(refusal).payload {
        Payload::Json(body) => body["message"].as_str().unwrap_or_default().to_owned(),
        _ => String::new(),
    }
}
