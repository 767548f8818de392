//! Caches the account's property definitions within the process.
//!
//! Definitions are optional. Without them no value is coerced, and HubSpot refuses invalid values
//! itself. Nothing waits if they cannot be read (a missing scope, an outage), and older ones stay
//! in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::Definitions;

/// How long definitions stay in the cache.
const FRESH: Duration = Duration::from_secs(600);
/// How long they stay when a refusal suggests that they are out of date.
const RECENT: Duration = Duration::from_secs(60);

/// The definitions by sync type. Cheap to clone, and all clones share the cache.
#[derive(Debug, Clone, Default)]
pub struct DefinitionCache {
    kinds: Arc<RwLock<BTreeMap<String, Known>>>,
}

/// The cached state of an object kind.
#[derive(Debug, Default)]
struct Known {
    definitions: Option<Arc<Definitions>>,
    asked: Option<Instant>,
    doubted: bool,
}

impl DefinitionCache {
    /// Returns the definitions of an object kind, if they could be read.
    #[must_use]
    pub fn of(&self, sync_type: &str) -> Option<Arc<Definitions>> {
        self.read().get(sync_type)?.definitions.clone()
    }

    /// Requests fresh definitions if `code`, from a refusal, suggests that the cached ones are out
    /// of date.
    pub(crate) fn doubt(&self, sync_type: &str, code: &str) {
        const SIGNS: [&str; 4] = [
            "INVALID_OPTION",
            "INVALID_PIPELINE_STAGE_ID",
            "PROPERTY_DOESNT_EXIST",
            "READ_ONLY_VALUE",
        ];
        if SIGNS.contains(&code) {
            self.write().entry(sync_type.to_owned()).or_default().doubted = true;
        }
    }

    /// Requests fresh definitions of all object kinds.
    pub(crate) fn doubt_all(&self) {
        for known in self.write().values_mut() {
            known.doubted = true;
        }
    }

    /// Whether the definitions of an object kind must be read again.
    pub(crate) fn is_stale(&self, sync_type: &str, now: Instant) -> bool {
        let kinds = self.read();
        let Some(known) = kinds.get(sync_type) else { return true };
        let trusted = if known.doubted { RECENT } else { FRESH };
        known.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= trusted)
    }

    /// Marks the definitions of a kind as requested. Call it before reading them, so that a doubt
    /// that arrives meanwhile is kept.
    pub(crate) fn ask(&self, sync_type: &str, now: Instant) {
        let mut kinds = self.write();
        let known = kinds.entry(sync_type.to_owned()).or_default();
        (known.asked, known.doubted) = (Some(now), false);
    }

    pub(crate) fn keep(&self, sync_type: &str, definitions: Definitions) {
        self.write().entry(sync_type.to_owned()).or_default().definitions =
            Some(Arc::new(definitions));
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<String, Known>> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<String, Known>> {
        self.kinds.write().unwrap_or_else(PoisonError::into_inner)
    }
}
