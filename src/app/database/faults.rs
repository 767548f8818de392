//! Checks that find an unusable database before anything is started.

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::config::Config;

/// A reason why the database is unusable.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}: {way_out}")]
pub(crate) struct Fault {
    /// The name of the check, in a word.
    pub(crate) name: &'static str,
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) way_out: String,
}

/// The name of the fault of a pooler with which no statement can be trusted.
pub(crate) const POOLER: &str = "pooler";

#[derive(sqlx::FromRow)]
struct Session {
    encoding: String,
    read_only: bool,
    isolation: String,
    schema: Option<String>,
    role: String,
    database: String,
}

/// Returns the reasons why the database of `db` is unusable.
pub(crate) async fn faults(
    config: &Config,
    options: &PgConnectOptions,
    db: &mut PgConnection,
) -> Result<Vec<Fault>, sqlx::Error> {
    if config.database.pooler && !keeps_statements(options, db).await? {
        // No further check is possible.
        return Ok(vec![Fault {
            name: POOLER,
            what: "the pooler does not keep prepared statements".into(),
            way_out: "use PgBouncer 1.21 or newer, with max_prepared_statements = 200".into(),
        }]);
    }
    let mut faults = Vec::new();
    let mut fault = |name, what: String, way_out: String| {
        faults.push(Fault { name, what, way_out });
    };
    let found: Session = sqlx::query_as(
        "SELECT current_setting('server_encoding') AS encoding,
                current_setting('transaction_read_only') = 'on' AS read_only,
                current_setting('transaction_isolation') AS isolation,
                current_schema()::text AS schema, current_user::text AS role,
                current_database()::text AS database",
    )
    .fetch_one(db)
    .await?;
    let Session { encoding, isolation, role, database, .. } = &found;
    if found.read_only {
        fault(
            "writable",
            "the server is a standby, or read-only".into(),
            "point DATABASE_URL at the primary".into(),
        );
    }
    if encoding != "UTF8" {
        fault(
            "encoding",
            format!("the database {database} is in {encoding}, which cannot hold every name"),
            "make one in UTF-8: CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0".into(),
        );
    }
    // This happens only behind a pooler that does not pass the session settings on.
    if isolation != "read committed" {
        fault(
            "isolation",
            format!("transactions of the role {role} are {isolation}"),
            format!("ALTER ROLE \"{role}\" SET default_transaction_isolation = 'read committed'"),
        );
    }
    let schema = &config.database.schema;
    if found.schema.as_ref() != Some(schema) {
        let way_out = if config.database.pooler {
            format!("ALTER ROLE \"{role}\" SET search_path = {schema}")
        } else {
            format!("CREATE SCHEMA {schema} AUTHORIZATION \"{role}\", or set database.schema")
        };
        fault(
            "schema",
            format!("the schema {schema} is not there, or not that of the role {role}"),
            way_out,
        );
    }
    Ok(faults)
}

/// Whether a pooler keeps the prepared statements of its clients apart, as PgBouncer does since
/// 1.21. The check has two clients prepare and use statements of the same name.
async fn keeps_statements(
    options: &PgConnectOptions,
    db: &mut PgConnection,
) -> Result<bool, sqlx::Error> {
    let mut other = options.connect().await?;
    for (first, statement) in [(true, "SELECT 1"), (false, "SELECT 2"), (true, "SELECT 1")] {
        let db = if first { &mut *db } else { &mut other };
        match sqlx::query(statement).execute(db).await {
            Err(sqlx::Error::Database(error))
                if FORGOTTEN.contains(&&*error.code().unwrap_or_default()) =>
            {
                return Ok(false);
            }
            done => done?,
        };
    }
    other.close().await.map(|()| true)
}

/// The codes for a prepared statement that does not exist, or whose name is taken
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const FORGOTTEN: [&str; 2] = ["26000", "42P05"];
