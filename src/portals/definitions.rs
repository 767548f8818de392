//! The account's property definitions, shared by all processes through Postgres.
//!
//! The process that sends reads them from HubSpot and stores them. A process that only serves HTTP
//! finds them there, so it previews what a worker would send.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::hubspot::definitions::{DefinitionCache, Definitions};
use crate::queue::{Queue, QueueError};

/// Postgres is asked for newer definitions at most this often.
const PERIOD: Duration = Duration::from_secs(5);

/// The definitions of a portal. Cheap to clone, and all clones share them.
#[derive(Debug, Clone)]
pub struct SharedDefinitions {
    queue: Queue,
    cache: DefinitionCache,
    seen: Arc<Mutex<Seen>>,
}

/// What was last read from Postgres, and what this process has stored itself.
#[derive(Debug, Default)]
struct Seen {
    looked: Option<Instant>,
    /// The time of the newest definitions.
    newest: Option<DateTime<Utc>>,
    /// The object kinds that this process reads from HubSpot. Nothing newer is stored by others
    /// that it would not read itself.
    own: BTreeSet<String>,
}

impl SharedDefinitions {
    pub(super) fn new(queue: Queue) -> Self {
        Self { queue, cache: DefinitionCache::default(), seen: Arc::default() }
    }

    /// The definitions that this process has.
    #[must_use]
    pub fn cache(&self) -> &DefinitionCache {
        &self.cache
    }

    /// Reads the definitions that other processes have stored since the last time, at most once in
    /// a few seconds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh(&self) -> Result<(), QueueError> {
        let newest = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.looked.is_some_and(|at| at.elapsed() < PERIOD) {
                return Ok(());
            }
            seen.looked = Some(Instant::now());
            seen.newest
        };
        for stored in self.queue.stored_definitions(newest).await? {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.newest = seen.newest.max(Some(stored.read_at));
            if seen.own.contains(&stored.sync_type) {
                continue;
            }
            match serde_json::from_value::<Definitions>(stored.definitions) {
                Ok(definitions) => self.cache.keep(&stored.sync_type, definitions),
                // Another version of the program has stored them. It reads them again in time.
                Err(error) => tracing::debug!(error = %error, "stored definitions were not read"),
            }
        }
        Ok(())
    }

    /// Keeps definitions that were read from HubSpot, and stores them for other processes.
    ///
    /// # Errors
    /// When the database fails. This process has them in any case.
    pub async fn keep(&self, sync_type: &str, definitions: Definitions) -> Result<(), QueueError> {
        let stored = serde_json::to_value(&definitions);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).own.insert(sync_type.to_owned());
        self.cache.keep(sync_type, definitions);
        let stored = stored.map_err(|error| QueueError::Corrupt(error.to_string()))?;
        self.queue.store_definitions(sync_type, &stored).await
    }
}
