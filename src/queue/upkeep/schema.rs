//! Migrates the database schema, and compares it with the schema that this program expects.
//!
//! Tables come from numbered migrations. Functions, triggers and views have files of their own. A
//! digest of their texts is stored, and if it differs, they are all created again.

use std::collections::BTreeMap;
use std::fmt;

use include_dir::{Dir, include_dir};
use sha2::{Digest as _, Sha256};
use sqlx::AssertSqlSafe;

use crate::queue::{Queue, QueueError, doubt};

static FUNCTIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations/functions");
static VIEWS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/migrations/views");

/// The name under which a pending change of functions, triggers or views is listed.
const CODE: &str = "functions and views";

/// The text of everything that is created again as a whole, in the order of the file names.
fn code() -> String {
    let files = VIEWS.files().chain(FUNCTIONS.files());
    files.filter_map(|file| file.contents_utf8()).collect()
}

fn digest(code: &str) -> String {
    Sha256::digest(code).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state of the schema.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaState {
    /// The migrations that have not been run, by name, in their order.
    pub pending: Vec<String>,
    /// The migrations that were run with a different text than this binary has.
    pub altered: Vec<String>,
    /// The numbers of migrations that only a newer binary has.
    pub unknown: Vec<i64>,
}

impl SchemaState {
    /// Whether this binary can use the schema as it is.
    #[must_use]
    pub fn is_current(&self) -> bool {
        *self == Self::default()
    }

    /// Why the schema cannot be migrated, if it cannot.
    #[must_use]
    pub fn other(&self) -> Option<OtherSchema> {
        match (self.altered.is_empty(), self.unknown.is_empty()) {
            (false, _) => Some(OtherSchema::Unreleased),
            (true, false) => Some(OtherSchema::Newer),
            (true, true) => None,
        }
    }
}

/// Tables of another version, which this version cannot migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherSchema {
    /// A state of hubferry that was never released.
    Unreleased,
    /// A newer version.
    Newer,
}

impl OtherSchema {
    /// Describes the tables.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::Unreleased => "the tables were made by an unreleased version of hubferry",
            Self::Newer => "the tables were made by a newer version of hubferry",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn way_out(self) -> &'static str {
        match self {
            Self::Unreleased => {
                "create an empty database, set DATABASE_URL to it, and send the events again"
            }
            Self::Newer => "run that version, or restore a backup that was made before it",
        }
    }
}

impl fmt::Display for OtherSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.way_out())
    }
}

/// A sequence that would return numbers that are already used, for example after only the tables
/// were restored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Lagging {
    /// Its name, as SQL.
    pub sequence: String,
    /// The query for the highest number that is used.
    asks: String,
    /// The highest number that is used.
    #[sqlx(skip)]
    pub taken: i64,
}

impl Lagging {
    /// The statement that corrects the sequence.
    #[must_use]
    pub fn cure(&self) -> String {
        format!("SELECT setval('{}', {})", self.sequence, self.taken)
    }
}

impl Queue {
    /// Migrates the schema. Several processes may run this at the same time.
    ///
    /// # Errors
    /// When the database cannot be reached, or its tables belong to another version.
    pub async fn migrate(&self) -> Result<(), QueueError> {
        if let Some(other) = self.schema_state().await?.other() {
            return Err(QueueError::OtherSchema(other));
        }
        // The transaction holds the lock. A session lock would stay behind in a connection pooler.
        let mut tx = doubt::begin(&self.pool).await?;
        // Building an index on a large table takes long.
        sqlx::query("SET LOCAL statement_timeout = 0").execute(&mut *tx).await?;
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('hubferry migrate', 0))")
            .execute(&mut *tx)
            .await?;
        sqlx::migrate!().set_locking(false).run_direct(None, &mut *tx, false).await?;
        let code = code();
        let stored = sqlx::query(
            "INSERT INTO schema_code AS c (digest) VALUES ($1)
             ON CONFLICT (one) DO UPDATE SET digest = excluded.digest
             WHERE c.digest <> excluded.digest",
        )
        .bind(digest(&code))
        .execute(&mut *tx)
        .await?;
        if stored.rows_affected() > 0 {
            sqlx::raw_sql(AssertSqlSafe(code)).execute(&mut *tx).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Returns the sequences that are behind their tables. A sequence that the role may not read is
    /// assumed to be correct.
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
               -- Only sequences are asked for: the function fails for anything else, and Postgres
               -- does not promise an order of conditions.
               AND CASE WHEN s.relkind = 'S'
                        THEN has_sequence_privilege(s.oid, 'USAGE, SELECT') END",
        )
        .fetch_all(&self.pool)
        .await?;
        let mut lagging = Vec::new();
        for mut sequence in all {
            // The names come from the catalog, which quotes them.
            let asks = AssertSqlSafe(sequence.asks.clone());
            let taken: Option<i64> = sqlx::query_scalar(asks).fetch_one(&self.pool).await?;
            sequence.taken = taken.unwrap_or(0);
            // The order matters, because other processes may be taking numbers.
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

    /// Compares the migrations that were run with the migrations of this binary.
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
        if state.is_current() {
            let made: Option<String> = sqlx::query_scalar("SELECT digest FROM schema_code")
                .fetch_optional(&self.pool)
                .await?;
            if made != Some(digest(&code())) {
                state.pending.push(CODE.to_owned());
            }
        }
        Ok(state)
    }
}
