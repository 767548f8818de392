//! Stores the account's property definitions, so that all processes have them. Other modules know
//! what they mean.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::queue::{Queue, QueueError};

/// The definitions of one object kind, as they were read.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct StoredDefinitions {
    /// The object kind.
    pub sync_type: String,
    /// The definitions.
    pub definitions: Value,
    /// When they were read from HubSpot.
    pub read_at: DateTime<Utc>,
}

impl Queue {
    /// Stores the definitions of an object kind, which have just been read from HubSpot.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn store_definitions(
        &self,
        sync_type: &str,
        definitions: &Value,
    ) -> Result<(), QueueError> {
        sqlx::query(
            "INSERT INTO account_definition (portal, sync_type, definitions, read_at)
             VALUES ($1, $2, $3, clock_timestamp())
             ON CONFLICT ON CONSTRAINT account_definition_pkey DO UPDATE
             SET definitions = excluded.definitions, read_at = excluded.read_at",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(definitions)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Returns the stored definitions that were read after `after`, or all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_definitions(
        &self,
        after: Option<DateTime<Utc>>,
    ) -> Result<Vec<StoredDefinitions>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT sync_type, definitions, read_at FROM account_definition
             WHERE portal = $1 AND read_at > COALESCE($2, '-infinity')",
        )
        .bind(self.portal())
        .bind(after)
        .fetch_all(&self.pool)
        .await?)
    }
}
