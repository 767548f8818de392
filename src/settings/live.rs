//! Publishes the settings in force, and tells waiting tasks about changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, watch};

use super::{Base, Entry, Runtime, Wrong};
use crate::queue::gates::kind::GateKind;
use crate::queue::{Queue, QueueError};

/// The settings of one process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Live {
    queue: Queue,
    base: Arc<Base>,
    current: Arc<watch::Sender<Arc<Runtime>>>,
    /// Allows one reader at a time, so that older values are never published after newer ones.
    turn: Arc<Mutex<()>>,
}

/// Why settings were not stored.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Some settings are invalid; each comes with its key.
    #[error("some of the settings are invalid")]
    Invalid(Vec<(String, Wrong)>),
    /// The database failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl Live {
    /// Publishes the settings of `base`, until [`Live::reload`] has read the stored ones.
    #[must_use]
    pub fn new(queue: Queue, base: Base) -> Self {
        let (current, _) = watch::channel(Arc::new(base.alone()));
        let (base, current) = (Arc::new(base), Arc::new(current));
        Self { queue, base, current, turn: Arc::default() }
    }

    /// Returns the settings in force.
    #[must_use]
    pub fn now(&self) -> Arc<Runtime> {
        Arc::clone(&self.current.borrow())
    }

    /// Returns a receiver for every change from now on.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Arc<Runtime>> {
        self.current.subscribe()
    }

    /// Reads the stored settings and publishes them if they differ. Returns whether they did.
    ///
    /// # Errors
    /// When the database fails. The settings then stay as they are.
    pub async fn reload(&self) -> Result<bool, QueueError> {
        let _turn = self.turn.lock().await;
        let stored = self.queue.stored_settings().await?;
        let next = self.base.resolve(&stored);
        let next = next.map_err(|error| QueueError::Corrupt(format!("settings: {error}")))?;
        let before = self.now();
        if *before == next {
            return Ok(false);
        }
        for (old, new) in before.entries.iter().zip(&next.entries) {
            tell(old, new);
        }
        for key in next.unknown.iter().filter(|key| !before.unknown.contains(key)) {
            tracing::warn!(setting.key = key, "a stored setting is not known here and is ignored");
        }
        self.current.send_replace(Arc::new(next));
        Ok(true)
    }

    /// Stores `changes`, all or none, and applies them. `None` removes a stored value.
    ///
    /// # Errors
    /// [`Refused::Invalid`] with everything that is wrong, or when the database fails.
    pub async fn change(
        &self,
        changes: &BTreeMap<String, Option<Value>>,
        actor: &str,
    ) -> Result<(), Refused> {
        let wrong = self.base.check(changes);
        if !wrong.is_empty() {
            return Err(Refused::Invalid(wrong));
        }
        let now = self.queue.now().await?;
        let before = self.now().values.limit_per_day;
        self.queue.store_settings(changes, self.base.flat(), actor, now).await?;
        self.reload().await?;
        if self.now().values.limit_per_day > before {
            // The old daily limit may have been smaller, so its gates open. If the new limit is
            // used up too, they close again.
            self.queue.open_gate(GateKind::Daily).await?;
            self.queue.open_gate(GateKind::Reserve).await?;
        }
        Ok(())
    }
}

fn tell(old: &Entry, new: &Entry) {
    if old.value != new.value {
        tracing::info!(
            setting.key = new.spec.key,
            setting.from = %old.value,
            setting.to = %new.value,
            setting.by = new.changed_by,
            "a setting changed"
        );
    }
    if let Some(reason) = new.ignored.as_deref().filter(|_| old.ignored != new.ignored) {
        tracing::warn!(
            setting.key = new.spec.key,
            reason,
            "a stored setting is invalid here and is ignored"
        );
    }
}
