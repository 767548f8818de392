//! Whether the database schema is the one that this binary knows, and its sequences are where they
//! must be, without changing anything.

use std::collections::BTreeMap;

use sqlx::AssertSqlSafe;

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

/// A sequence that would give out numbers that are taken, as after a restore of the tables only.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Lagging {
    /// Its name, as SQL.
    pub sequence: String,
    /// What asks for the highest number that is taken.
    asks: String,
    /// The highest number that is taken.
    #[sqlx(skip)]
    pub taken: i64,
}

impl Lagging {
    /// The statement that sets it right.
    #[must_use]
    pub fn cure(&self) -> String {
        format!("SELECT setval('{}', {})", self.sequence, self.taken)
    }
}

impl Queue {
    /// The sequences that are behind their tables. One that the role may not read is taken to be
    /// where it must be.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lagging_sequences(&self) -> Result<Vec<Lagging>, QueueError> {
        let all: Vec<Lagging> = sqlx::query_as(
            "SELECT s.oid::regclass::text AS sequence,
                    CASE WHEN s.relname = 'lease_token'
                         THEN 'SELECT max(lease_token) FROM crm_record WHERE lease_token IS NOT NULL'
                         ELSE format('SELECT max(%I) FROM %s', a.attname, a.attrelid::regclass)
                    END AS asks
             FROM pg_class s
             LEFT JOIN pg_depend d
                 ON d.objid = s.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'i'
                    AND d.refclassid = 'pg_class'::regclass
             LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
             WHERE s.relnamespace = current_schema()::regnamespace
               AND (a.attname IS NOT NULL OR s.relname = 'lease_token')
               -- Nothing but a sequence may be asked for its rights, in whatever order.
               AND CASE WHEN s.relkind = 'S'
                        THEN has_sequence_privilege(s.oid, 'USAGE, SELECT') END",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut lagging = Vec::new();
        for mut sequence in all {
            // The names are those of the catalog, as it quotes them.
            let asks = AssertSqlSafe(sequence.asks.clone());
            let taken: Option<i64> = sqlx::query_scalar(asks).fetch_one(&self.pool).await?;
            sequence.taken = taken.unwrap_or(0);
            // In this order: others may be giving out numbers.
            let stands: Option<i64> =
                sqlx::query_scalar("SELECT pg_sequence_last_value($1::text::regclass)")
                    .bind(&sequence.sequence)
                    .fetch_one(&self.pool)
                    .await?;
            if stands.unwrap_or(0) < sequence.taken {
                lagging.push(sequence);
            }
        }
        Ok(lagging)
    }

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
