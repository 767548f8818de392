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
        self.read_definitions(now, self.portal.mapping.objects().iter().collect()).await;
    }

    /// Reads the definitions of each kind whose cached copy is old or was marked as doubtful.
    pub async fn refresh_definitions(&self, now: Instant) {
        let objects = self.portal.mapping.objects().iter();
        let stale = objects
            .filter(|object| self.portal.definitions.cache().is_stale(&object.sync_type, now));
        self.read_definitions(now, stale.collect()).await;
    }

    async fn read_definitions(&self, now: Instant, objects: Vec<&ObjectKind>) {
        for object in &objects {
            self.portal.definitions.cache().ask(&object.sync_type, now);
        }
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
                        self.portal.definitions.cache().doubt_all();
                        return;
                    }
                }
            }
        }
    }
}
