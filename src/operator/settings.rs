//! The settings that can change while the service runs: the values in force, and changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::views::{Actor, Runtime};
use super::{Operator, OperatorError};
use crate::settings::Refused;

impl Operator {
    /// Returns the settings in force. They are read again first, because another process may have
    /// stored one a moment ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn settings(&self) -> Result<Arc<Runtime>, OperatorError> {
        self.settings.reload().await?;
        Ok(self.settings.now())
    }

    /// Returns the settings in force as this process knows them, without asking the database.
    #[must_use]
    pub fn settings_now(&self) -> Arc<Runtime> {
        self.settings.now()
    }

    /// Stores `changes`, all or none, and applies them. `None` removes a stored value.
    ///
    /// # Errors
    /// When a value is invalid, or the database fails.
    pub async fn change_settings(
        &self,
        changes: &BTreeMap<String, Option<Value>>,
        actor: &Actor,
    ) -> Result<Arc<Runtime>, OperatorError> {
        self.settings.change(changes, &actor.name).await.map_err(|refused| match refused {
            Refused::Invalid(wrong) => OperatorError::InvalidSettings(wrong),
            Refused::Queue(error) => error.into(),
        })?;
        self.forget().await;
        Ok(self.settings.now())
    }
}
