//! Connections to Postgres: the settings of each session, and the check that a connection is
//! usable.
//!
//! A connection is used only if it leads to a primary and is not in a transaction. An address may
//! lead to a standby for a while (failover, proxy, DNS), and a cancelled use can leave a
//! transaction open.

mod address;
mod faults;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Row as _};

use crate::config::Config;
use crate::queue::Queue;
use crate::queue::doubt::doubted;
use crate::queue::upkeep::schema::Lagging;
use address::parse_url;
pub(crate) use faults::{Fault, POOLER, faults};

/// A connection that was idle for longer than this is checked before use.
const TRUSTED: Duration = Duration::from_secs(1);
/// The timeout of that check.
const ANSWER: Duration = Duration::from_secs(2);
/// How often to retry a server that is starting up.
const AGAIN: Duration = Duration::from_millis(200);

/// Settings of every session. They override those of the role and the database, because the
/// statements depend on them. A client that is gone or stalled holds its locks for at most ten
/// seconds, and a machine that vanished is noticed within a minute. No statement runs long enough
/// to be worth compiling, or for longer than a minute.
pub(crate) const SESSION: [(&str, &str); 10] = [
    ("jit", "off"),
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_read_only", "off"),
    ("statement_timeout", "60s"),
    ("lock_timeout", "0"),
    ("idle_session_timeout", "0"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
];

/// Connects to Postgres and migrates the schema to the current version.
///
/// # Errors
/// When it cannot be reached, used or migrated.
pub async fn open_queue(config: &Config, options: PgConnectOptions) -> Result<Queue> {
    let options = session(config, options.application_name("hubferry"));
    let mut db = first(config, &options).await.map_err(unreachable)?;
    let faults = faults(config, &options, &mut db).await.map_err(unreachable)?;
    if !faults.is_empty() {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        bail!("{}", faults.join("; "));
    }
    db.close().await.ok();
    let queue = Queue::new(pool_options(config).connect_lazy_with(options));
    // If there is nothing to migrate, a role that can only read and write rows is enough.
    if !queue.schema_state().await?.is_current() {
        queue.migrate().await.map_err(|error| {
            let denied = told_code(&error).is_some_and(|code| code == "42501");
            let error = anyhow::Error::new(error);
            if denied { error.context(NOT_OURS) } else { error }
        })?;
    }
    let lagging = queue.lagging_sequences().await?;
    if !lagging.is_empty() {
        let cures: Vec<String> = lagging.iter().map(Lagging::cure).collect();
        bail!("{BEHIND}: run {}", cures.join("; "));
    }
    Ok(queue)
}

const NOT_OURS: &str = "the database schema is not up to date, and this role may not change it: run \
                        `hubferry migrate` with the role that owns it";
/// What is wrong with sequences that are behind their tables.
pub(crate) const BEHIND: &str = "numbers that are taken would be given out again, as after a restore \
                                 of the tables without their sequences";

/// Returns the code of the database error that caused `error`.
fn told_code(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(sqlx::Error::Database(error)) = error.downcast_ref() {
            return error.code().map(Into::into);
        }
        cause = error.source();
    }
    None
}

/// The connection pool of the process. Connections are checked when they are made, when they come
/// back, and before use if they were idle. A check before each use would cost more than broken
/// connections do.
fn pool_options(config: &Config) -> PgPoolOptions {
    let told = Arc::new(AtomicBool::new(false));
    let pooler = config.database.pooler;
    PgPoolOptions::new()
        .max_connections(config.database.max_connections - looks_of(config))
        .acquire_timeout(Duration::from_secs(config.database.acquire_timeout_seconds))
        .test_before_acquire(false)
        .after_connect(move |db, _| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                if !pooler {
                    watch_client(db).await?;
                }
                if usable(db).await? {
                    told.store(false, Ordering::Relaxed);
                    return Ok(());
                }
                // Everyone who needs a connection tries this several times a second, so it is
                // logged only once.
                if !told.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the address of the database leads to a standby, or to a server that is \
                         read-only: a primary is waited for"
                    );
                }
                Err(sqlx::Error::Io(std::io::Error::other("the server is read-only")))
            })
        })
        .before_acquire(|db, meta| {
            Box::pin(async move {
                let trusted = meta.idle_for < TRUSTED && !doubted();
                Ok(trusted || usable(db).await?)
            })
        })
        // A connection whose use was cancelled may never answer. Waiting for it would also block
        // its place in the pool.
        .after_release(|db, _| {
            Box::pin(async move {
                if doubted() { usable(db).await } else { answers(db.ping()).await.map(|()| true) }
            })
        })
}

/// The statement timeout of the connections for queries of people and programs.
const LOOK: &str = "30s";

/// How many connections of a process serve the queries of people and programs: half of what remains
/// after the listener, two for storing events, and one for everything else.
fn looks_of(config: &Config) -> u32 {
    (config.database.max_connections.saturating_sub(4) / 2).max(1)
}

/// Returns `queue` with separate connections for the queries of people and programs. However slow,
/// frequent or cancelled such queries are, they cannot delay events or workers. A connection whose
/// query was cancelled keeps its place until the query has ended or was cut off.
pub(super) fn looks(config: &Config, queue: &Queue) -> Queue {
    let options = queue.pool().connect_options();
    let options = if config.database.pooler {
        (*options).clone()
    } else {
        (*options).clone().options([("statement_timeout", LOOK)])
    };
    queue.over(pool_options(config).max_connections(looks_of(config)).connect_lazy_with(options))
}

/// Makes Postgres check once a second, even during a statement, whether its client is still
/// connected. Some systems do not support this and refuse the setting.
pub(crate) async fn watch_client(db: &mut PgConnection) -> Result<(), sqlx::Error> {
    let watch = "DO $$ BEGIN
            PERFORM set_config('client_connection_check_interval', '1s', false);
        EXCEPTION WHEN invalid_parameter_value THEN NULL;
        END $$";
    sqlx::raw_sql(watch).execute(db).await.map(drop)
}

/// Whether a connection leads to a server that can be written to, and is not in a transaction.
/// Outside a transaction, a statement starts at the same time as its transaction. A connection in a
/// failed transaction returns an error.
async fn usable(db: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // As one text, because a prepared statement is sent in parts, each of which has its own time.
    let asked = sqlx::raw_sql(
        "SELECT now() = statement_timestamp() AND current_setting('transaction_read_only') = 'off'",
    );
    answers(asked.fetch_one(db)).await?.try_get(0)
}

async fn answers<T>(asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let answer = tokio::time::timeout(ANSWER, asked).await;
    answer.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Makes the first connection of a process. A server that is not there yet, or is starting up, is
/// retried for as long as a request waits for a connection.
pub(crate) async fn first(
    config: &Config,
    options: &PgConnectOptions,
) -> Result<PgConnection, sqlx::Error> {
    let end = Instant::now() + Duration::from_secs(config.database.acquire_timeout_seconds);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let silent = || Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()));
        let tried = tokio::time::timeout(left, options.connect()).await;
        match tried.unwrap_or_else(|_| silent()) {
            Err(error) if starting(&error) && left > AGAIN => tokio::time::sleep(AGAIN).await,
            done => return done,
        }
    }
}

/// Whether a server may become available in a moment.
fn starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        // 57P03: starting up, 53300: too many connections
        // (https://www.postgresql.org/docs/current/errcodes-appendix.html).
        sqlx::Error::Database(error) => {
            matches!(error.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}

/// Applies the session settings. A pooler does not pass them on; with one, they must be set on the
/// role.
pub(crate) fn session(config: &Config, options: PgConnectOptions) -> PgConnectOptions {
    if config.database.pooler { options } else { with_session(config, options) }
}

fn with_session(config: &Config, options: PgConnectOptions) -> PgConnectOptions {
    options.options(SESSION).options([("search_path", &config.database.schema)])
}

/// Explains why no connection could be made, and what to do.
fn unreachable(error: sqlx::Error) -> anyhow::Error {
    // The message of PgBouncer for settings that it does not know (see its
    // ignore_startup_parameters).
    let pooler = error.to_string().contains("unsupported startup parameter");
    anyhow::Error::new(error).context(if pooler {
        "a pooler answers at DATABASE_URL: set database.pooler = true \
         (HUBFERRY__DATABASE__POOLER=true)"
    } else {
        "Postgres cannot be reached: check DATABASE_URL and that the server runs"
    })
}

/// Returns the options of a connection to `DATABASE_URL`.
///
/// # Errors
/// When it is not set or malformed.
pub fn connect_options(config: &Config) -> Result<PgConnectOptions> {
    let options = parse_url("DATABASE_URL", config.database_url()?)?;
    Ok(if config.database.pooler { options.extra_float_digits(None) } else { options })
}

/// Returns the pool that listens for notifications. There is none behind a pooler without a direct
/// address, because a pooler gives the connection to another client after each transaction.
pub(super) fn notification_pool(config: &Config, queue: &Queue) -> Result<Option<PgPool>> {
    let database = &config.database;
    if !database.pooler {
        return Ok(Some(queue.pool().clone()));
    }
    let Some(url) = &database.direct_url else { return Ok(None) };
    let options = parse_url("database.direct_url", url)?.application_name("hubferry");
    let options = with_session(config, options);
    Ok(Some(pool_options(config).max_connections(2).connect_lazy_with(options)))
}
