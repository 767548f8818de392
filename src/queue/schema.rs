//! Whether the database schema is the one that this binary knows, without changing it.

use std::collections::BTreeMap;

use super::{Queue, QueueError};

/// How the schema stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// Migrations that have not been run, by name, in their order.
    pub pending: Vec<String>,
    /// Migrations that were run otherwise than this binary would.
    pub altered: Vec<String>,
    /// Migrations of a newer binary, by number.
    pub unknown: Vec<i64>,
}

impl SchemaState {
    /// Whether this binary can work with it as it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        *self == Self::default()
    }
}

impl Queue {
    /// Compares the migrations that were run with those of this binary.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn schema_state(&self) -> Result<SchemaState, QueueError> {
        let there: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
            .fetch_one(&self.pool)
            .await?;
        let mut run: BTreeMap<i64, (bool, Vec<u8>)> = BTreeMap::new();
        if there {
            let rows: Vec<(i64, bool, Vec<u8>)> =
                sqlx::query_as("SELECT version, success, checksum FROM _sqlx_migrations")
                    .fetch_all(&self.pool)
                    .await?;
            run.extend(rows.into_iter().map(|(version, success, sum)| (version, (success, sum))));
        }
        let mut state = SchemaState::default();
        for migration in sqlx::migrate!().iter() {
            let name = format!("{:04} {}", migration.version, migration.description);
            match run.remove(&migration.version) {
                None => state.pending.push(name),
                Some((true, sum)) if sum == *migration.checksum => {}
                Some(_) => state.altered.push(name),
            }
        }
        state.unknown = run.into_keys().collect();
        Ok(state)
    }
}
