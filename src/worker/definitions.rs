//! Reads the account's property definitions, for all processes of the portal.

use std::time::Instant;

use super::Worker;
use crate::hubspot::Blame;
use crate::hubspot::definitions::definitions;
use crate::mapping::ObjectKind;

impl Worker {
    /// Reads the definitions of every kind.
    pub async fn load_definitions(&self) {
        let now = Instant::now();
        let objects = self.portal.mapping.objects().iter().collect();
        let read = self.read_definitions(now, objects).await;
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
        let objects = self.portal.mapping.objects().iter();
        let stale = objects
            .filter(|object| self.portal.definitions.cache().is_stale(&object.sync_type, now));
        self.read_definitions(now, stale.collect()).await
    }

    async fn read_definitions(&self, now: Instant, objects: Vec<&ObjectKind>) -> Read {
        for object in &objects {
            self.portal.definitions.cache().ask(&object.sync_type, now);
        }
        let mut read = Read::default();
        for object in objects {
            let kind = &object.sync_type;
            let version = self.connection.client.version();
            match definitions(&self.connection.permits, version, &self.portal.mapping, object).await
            {
                Ok(definitions) => {
                    tracing::debug!(
                        sync_type = kind,
                        properties = definitions.properties.len(),
                        "read what HubSpot says of the kind"
                    );
                    if let Err(error) = self.portal.definitions.keep(kind, definitions).await {
                        tracing::warn!(error = %error, "definitions could not be stored");
                    }
                    read.kinds.push(kind.clone());
                }
                Err(failure) => {
                    let passes =
                        matches!(failure.class.blame(), Blame::Transient | Blame::Throttled);
                    let hint = failure.hint.map(|hint| format!(": {hint}")).unwrap_or_default();
                    read.unread.push((kind.clone(), format!("{}{hint}", failure.code)));
                    if passes {
                        // HubSpot is not available, so the other kinds would wait for it too.
                        self.portal.definitions.cache().doubt_all();
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
