//! What is known of the account's property definitions, shared within the process.
//!
//! Without them no value is coerced, and HubSpot itself refuses what is invalid: definitions that cannot
//! be read (a missing scope, an outage) hold nothing up. What was read before stays in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::Definitions;

/// How long definitions are trusted.
const FRESH: Duration = Duration::from_secs(600);
/// How long they are trusted when a refusal says that they may be out of date.
const RECENT: Duration = Duration::from_secs(60);

/// The definitions by sync type; cheap to clone, and every clone is the same.
#[derive(Debug, Clone, Default)]
pub struct DefinitionCache {
    kinds: Arc<RwLock<BTreeMap<String, Known>>>,
}

/// What is known of a kind.
#[derive(Debug, Default)]
struct Known {
    definitions: Option<Arc<Definitions>>,
    asked: Option<Instant>,
    doubted: bool,
}

impl DefinitionCache {
    /// The definitions of a kind, if they could be read.
    #[must_use]
    pub fn of(&self, sync_type: &str) -> Option<Arc<Definitions>> {
        self.read().get(sync_type)?.definitions.clone()
    }

    /// Asks for fresh definitions if `code`, a refusal's, says that ours may be out of date.
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

    /// Asks for fresh definitions of every kind.
    pub(crate) fn doubt_all(&self) {
        for known in self.write().values_mut() {
            known.doubted = true;
        }
    }

    /// Whether the definitions of a kind are to be read again.
    pub(crate) fn is_stale(&self, sync_type: &str, now: Instant) -> bool {
        let kinds = self.read();
        let Some(known) = kinds.get(sync_type) else { return true };
        let trusted = if known.doubted { RECENT } else { FRESH };
        known.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= trusted)
    }

    /// Marks a kind as asked for, before it is read: a doubt that comes meanwhile stays.
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
