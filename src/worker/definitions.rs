//! Reads the account's property definitions into the cache that all workers of a process share.

use std::time::Instant;

use super::Worker;
use crate::hubspot::Blame;
use crate::hubspot::definitions::{DefinitionCache, definitions};
use crate::mapping::ObjectKind;

impl Worker {
    /// Returns this worker with `definitions` as its cache, so that workers can share one cache.
    #[must_use]
    pub fn with_definitions(mut self, definitions: DefinitionCache) -> Self {
        self.definitions = definitions;
        self
    }

    /// Reads the definitions of every kind.
    pub async fn load_definitions(&self) {
        let now = Instant::now();
        self.read_definitions(now, self.mapping.objects().iter().collect()).await;
    }

    /// Reads the definitions of each kind whose cached copy is old or was marked as doubtful.
    pub async fn refresh_definitions(&self, now: Instant) {
        let objects = self.mapping.objects().iter();
        let stale = objects.filter(|object| self.definitions.is_stale(&object.sync_type, now));
        self.read_definitions(now, stale.collect()).await;
    }

    async fn read_definitions(&self, now: Instant, objects: Vec<&ObjectKind>) {
        for object in &objects {
            self.definitions.ask(&object.sync_type, now);
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
                    self.definitions.keep(kind, definitions);
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
                        // HubSpot is not available, so the other kinds would wait for it too.
                        self.definitions.doubt_all();
                        return;
                    }
                }
            }
        }
    }
}
