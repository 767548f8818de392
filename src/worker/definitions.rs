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
        let read = self.read_definitions(now, self.mapping.objects().iter().collect()).await;
        for (kind, reason) in read.unread {
            tracing::warn!(
                sync_type = kind,
                reason,
                "property definitions could not be read: what was known stays in force"
            );
        }
    }

    /// Reads the definitions of each kind whose cached copy is old or was marked as doubtful.
    pub async fn refresh_definitions(&self, now: Instant) -> Read {
        let objects = self.mapping.objects().iter();
        let stale = objects.filter(|object| self.definitions.is_stale(&object.sync_type, now));
        self.read_definitions(now, stale.collect()).await
    }

    async fn read_definitions(&self, now: Instant, objects: Vec<&ObjectKind>) -> Read {
        for object in &objects {
            self.definitions.ask(&object.sync_type, now);
        }
        let mut read = Read::default();
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
                    read.kinds.push(kind.clone());
                }
                Err(failure) => {
                    let passes =
                        matches!(failure.class.blame(), Blame::Transient | Blame::Throttled);
                    let hint = failure.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
                    read.unread.push((kind.clone(), format!("{}{hint}", failure.code)));
                    if passes {
                        // HubSpot is not available, so the other kinds would wait for it too.
                        self.definitions.doubt_all();
                        break;
                    }
                }
            }
        }
        read
    }
}

/// Which definitions were read.
#[derive(Debug, Default)]
pub struct Read {
    /// The object kinds whose definitions were read.
    pub kinds: Vec<String>,
    /// The object kinds whose definitions could not be read, with the reason. What was known of
    /// them stays in force.
    pub unread: Vec<(String, String)>,
}
