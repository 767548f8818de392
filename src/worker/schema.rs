//! What the account's schema says, remembered in the process and shared by its workers.
//!
//! Without it nothing is fitted, and HubSpot itself refuses what does not fit: a schema that cannot
//! be read (a missing scope, an outage) holds nothing up. What was read before stays in force.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use super::Worker;
use crate::hubspot::Blame;
use crate::hubspot::schema::{Definitions, definitions};
use crate::mapping::ObjectKind;

/// How long definitions are trusted.
const FRESH: Duration = Duration::from_secs(600);
/// How long they are trusted when a refusal says that they may be out of date.
const RECENT: Duration = Duration::from_secs(60);

/// The definitions by sync type; cheap to clone, and every clone is the same.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    kinds: Arc<RwLock<BTreeMap<String, Known>>>,
}

/// What is known of a kind.
#[derive(Debug, Default)]
struct Known {
    definitions: Option<Arc<Definitions>>,
    asked: Option<Instant>,
    doubted: bool,
}

impl Schema {
    /// The definitions of a kind, if they could be read.
    #[must_use]
    pub fn of(&self, sync_type: &str) -> Option<Arc<Definitions>> {
        self.read().get(sync_type)?.definitions.clone()
    }

    /// Asks for fresh definitions if `code`, a refusal's, says that ours may be out of date.
    pub(super) fn doubt(&self, sync_type: &str, code: &str) {
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
    fn doubt_all(&self) {
        for known in self.write().values_mut() {
            known.doubted = true;
        }
    }

    /// Whether the definitions of a kind are to be read again.
    fn is_stale(&self, sync_type: &str, now: Instant) -> bool {
        let kinds = self.read();
        let Some(known) = kinds.get(sync_type) else { return true };
        let trusted = if known.doubted { RECENT } else { FRESH };
        known.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= trusted)
    }

    /// Marks a kind as asked for, before it is read: a doubt that comes meanwhile stays.
    fn ask(&self, sync_type: &str, now: Instant) {
        let mut kinds = self.write();
        let known = kinds.entry(sync_type.to_owned()).or_default();
        (known.asked, known.doubted) = (Some(now), false);
    }

    fn keep(&self, sync_type: &str, definitions: Definitions) {
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

impl Worker {
    /// The worker with a schema that it shares with others.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        self.schema = schema;
        self
    }

    /// Reads the definitions of every kind.
    pub async fn load_schema(&self) {
        let now = Instant::now();
        self.read_schema(now, self.mapping.objects().iter().collect()).await;
    }

    /// Reads the definitions of those kinds of which they are old, or have been doubted.
    pub async fn refresh_schema(&self, now: Instant) {
        let objects = self.mapping.objects().iter();
        let stale = objects.filter(|object| self.schema.is_stale(&object.sync_type, now));
        self.read_schema(now, stale.collect()).await;
    }

    async fn read_schema(&self, now: Instant, objects: Vec<&ObjectKind>) {
        for object in &objects {
            self.schema.ask(&object.sync_type, now);
        }
        for object in objects {
            let kind = &object.sync_type;
            let version = self.client.version();
            match definitions(&self.permits, version, &self.mapping, object).await {
                Ok(definitions) => {
                    tracing::debug!(
                        sync_type = kind,
                        properties = definitions.properties.len(),
                        "read what HubSpot says of the kind"
                    );
                    self.schema.keep(kind, definitions);
                }
                Err(failure) => {
                    tracing::warn!(
                        sync_type = kind,
                        code = failure.code,
                        hint = failure.hint,
                        "property definitions could not be read: what was known stays in force"
                    );
                    let passes =
                        matches!(failure.class.blame(), Blame::Transient | Blame::Throttled);
                    if passes {
                        // An outage: all the rest would wait for it too.
                        self.schema.doubt_all();
                        return;
                    }
                }
            }
        }
    }
}
