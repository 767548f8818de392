//! Checks Postgres: whether it is reachable and safe, whether its clock agrees, whether the schema
//! is hubferry's, and the state of the queue.

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, PgPool};

use super::{Report, Verdict, encryption};
use crate::app;
use crate::app::database::{self, Fault, POOLER};
use crate::cli::{clock, exit, text};
use crate::config::Config;
use crate::queue::Queue;
use crate::queue::gates::gate::Gate;
use crate::queue::upkeep::schema::Lagging;

const AREA: &str = super::POSTGRES;
/// The oldest version that the statements are tested with.
const OLDEST: i32 = 14;
/// Clocks that differ by more are not kept by anybody.
const DRIFT: TimeDelta = TimeDelta::seconds(5);
/// A warning is given for a row that waits longer.
const LONG_WAIT: TimeDelta = TimeDelta::minutes(15);

/// Checks Postgres. Returns the queue if its schema is up to date.
pub(super) async fn look(config: &Config, report: &mut Report) -> Option<Queue> {
    let options = match app::connect_options(config) {
        Ok(options) => options.application_name("hubferry doctor"),
        Err(error) => {
            report.problem(AREA, "reachable", exit::told(&error), "correct DATABASE_URL");
            return None;
        }
    };
    let options = database::session(config, options);
    let pool = match reachable(config, &options, report).await {
        Ok(true) => pool(config).connect_lazy_with(options),
        Ok(false) => return None,
        Err(error) => {
            let way_out =
                "check DATABASE_URL, that the server runs, and that it accepts this client";
            report.problem(AREA, "reachable", format!("{error}"), way_out);
            return None;
        }
    };
    match all(config, pool, report).await {
        Ok(queue) => queue,
        Err(error) => {
            let way_out = "see the log of Postgres";
            report.problem(AREA, "statements", exit::told(&error), way_out);
            None
        }
    }
}

/// Connections like those of the service.
fn pool(config: &Config) -> PgPoolOptions {
    let pool = PgPoolOptions::new().max_connections(2);
    if config.database.pooler {
        return pool;
    }
    pool.after_connect(|db, _| Box::pin(database::watch_client(db)))
}

/// Connects as the service does, and names what makes the database impossible to work with. Whether
/// it can be looked at further.
async fn reachable(
    config: &Config,
    options: &PgConnectOptions,
    report: &mut Report,
) -> Result<bool, sqlx::Error> {
    let mut db = database::first(config, options).await?;
    let mut usable = true;
    for Fault { name, what, way_out } in database::faults(config, options, &mut db).await? {
        usable &= name != POOLER;
        report.problem(AREA, name, what, way_out);
    }
    if usable {
        encryption::look(config, options, &mut db, report).await?;
    }
    db.close().await.map(|()| usable)
}

async fn all(config: &Config, pool: PgPool, report: &mut Report) -> Result<Option<Queue>> {
    settings(config, &pool, report).await?;
    let queue = Queue::new(pool);
    difference(config, &queue, report).await?;
    let schema = queue.schema_state().await?;
    if let Some(other) = schema.other() {
        let migrations =
            schema.altered.iter().cloned().chain(schema.unknown.iter().map(i64::to_string));
        let detail = format!("{} ({})", other.what(), migrations.collect::<Vec<_>>().join(", "));
        report.problem(AREA, "schema", detail, other.way_out());
        return Ok(None);
    }
    if !schema.pending.is_empty() {
        let detail = format!("not up to date: {}", schema.pending.join(", "));
        let way_out = "run `hubferry migrate`; `hubferry serve` also does it";
        report.problem(AREA, "schema", detail, way_out);
        return Ok(None);
    }
    report.ok(AREA, "schema", "up to date");
    let lagging = queue.lagging_sequences().await?;
    if lagging.is_empty() {
        report.ok(AREA, "sequences", "none is behind its table");
    } else {
        let cures: Vec<String> = lagging.iter().map(Lagging::cure).collect();
        report.problem(AREA, "sequences", database::BEHIND, format!("run {}", cures.join("; ")));
    }
    health(&queue, report).await?;
    Ok(Some(queue))
}

#[derive(Debug, sqlx::FromRow)]
struct Settings {
    version: i32,
    fsync: String,
    synchronous_commit: String,
    full_page_writes: String,
    autovacuum: String,
    jit: String,
    silence: String,
    watches: bool,
    bounded: bool,
    role: String,
    max_connections: i32,
    reserved: i32,
    others: i64,
}

async fn settings(config: &Config, pool: &PgPool, report: &mut Report) -> Result<()> {
    let found: Settings = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int / 10000 AS version,
                current_setting('fsync') AS fsync,
                current_setting('synchronous_commit') AS synchronous_commit,
                current_setting('full_page_writes') AS full_page_writes,
                current_setting('autovacuum') AS autovacuum,
                current_setting('jit') AS jit,
                current_setting('idle_in_transaction_session_timeout') AS silence,
                COALESCE(current_setting('client_connection_check_interval', true), '0') <> '0'
                    AS watches,
                extract(epoch FROM current_setting('statement_timeout')::interval)
                    BETWEEN 30 AND 600 AS bounded,
                current_user::text AS role,
                current_setting('max_connections')::int AS max_connections,
                current_setting('superuser_reserved_connections')::int AS reserved,
                (SELECT count(*) FROM pg_stat_activity
                 WHERE backend_type = 'client backend'
                   AND application_name NOT LIKE 'hubferry%') AS others",
    )
    .fetch_one(pool)
    .await?;
    if found.version >= OLDEST {
        report.ok(AREA, "reachable", format!("PostgreSQL {}", found.version));
    } else {
        let detail = format!("PostgreSQL {} is too old", found.version);
        report.problem(AREA, "reachable", detail, format!("use {OLDEST} or newer"));
    }
    let durability = [
        ("fsync", found.fsync == "off"),
        ("synchronous_commit", found.synchronous_commit == "off"),
        ("full_page_writes", found.full_page_writes == "off"),
    ];
    let off: Vec<&str> = durability.iter().filter(|(_, off)| *off).map(|(n, _)| *n).collect();
    if off.is_empty() {
        report.ok(AREA, "durability", "commits are written to disk");
    } else {
        let detail = format!("off: {}; a crash may lose events that were accepted", off.join(", "));
        report.warning(AREA, "durability", detail, "switch them on in postgresql.conf");
    }
    if found.autovacuum == "on" {
        report.ok(AREA, "autovacuum", "on");
    } else {
        let detail = "off: the tables of the queue grow and become slow";
        report.warning(AREA, "autovacuum", detail, "switch it on in postgresql.conf");
    }
    if config.database.pooler {
        pooler(&found, report);
    } else if found.watches {
        report.ok(AREA, "clients", "statements of disconnected clients are cancelled");
    } else {
        let detail = "the server's system cannot tell that a client has gone: looks that were given \
                      up go on for half a minute";
        report.warning(AREA, "clients", detail, "run Postgres 14 or newer on Linux");
    }
    let free = i64::from(found.max_connections - found.reserved) - found.others;
    let ours = i64::from(config.database.max_connections);
    let detail = format!(
        "{ours} for each of our processes, {free} of {} free of others",
        found.max_connections
    );
    if ours <= free {
        report.ok(AREA, "connections", detail);
    } else {
        let way_out = "raise max_connections in postgresql.conf, or lower database.max_connections";
        report.warning(AREA, "connections", detail, way_out);
    }
    Ok(())
}

/// What a process sets for its sessions elsewhere, and a pooler does not let through.
fn pooler(found: &Settings, report: &mut Report) {
    let wanted = [
        (found.jit == "off", "jit = off"),
        (found.silence != "0", "idle_in_transaction_session_timeout = '10s'"),
        (found.watches, "client_connection_check_interval = '1s'"),
        (found.bounded, "statement_timeout = '60s'"),
    ];
    let role = &found.role;
    let missing: Vec<String> = wanted
        .iter()
        .filter(|(there, _)| !there)
        .map(|(_, setting)| format!("ALTER ROLE \"{role}\" SET {setting}"))
        .collect();
    if missing.is_empty() {
        report.ok(AREA, "pooler", "the role has the settings that sessions need");
        return;
    }
    let detail = "the role's sessions compile statements, or go on for as long as a process stands \
                  still or after their client has gone";
    report.warning(AREA, "pooler", detail, format!("run: {}", missing.join("; ")));
}

/// Compares the clocks; half of the round trip is the answer's way.
async fn difference(config: &Config, queue: &Queue, report: &mut Report) -> Result<()> {
    let asked = clock::now();
    let theirs: DateTime<Utc> = queue.now().await?;
    let ours = asked + (clock::now() - asked) / 2;
    let ahead = ours - theirs;
    let detail = format!(
        "this machine's is {:.1} s {} of Postgres'",
        ahead.abs().as_seconds_f64(),
        if ahead < TimeDelta::zero() { "behind" } else { "ahead" }
    );
    let way_out = "synchronise both clocks with NTP: values are ordered by the time of events";
    if ahead > TimeDelta::seconds(config.ingest.max_ahead_seconds) {
        let detail = format!("{detail}: events with this machine's time are refused");
        report.problem(AREA, "clock", detail, way_out);
    } else if ahead.abs() > DRIFT {
        report.warning(AREA, "clock", detail, way_out);
    } else {
        report.ok(AREA, "clock", "agrees with this machine's");
    }
    Ok(())
}

async fn health(queue: &Queue, report: &mut Report) -> Result<()> {
    let now = queue.now().await?;
    let gates = queue.gates(now).await?;
    if gates.is_empty() {
        report.ok("queue", "gate", "open");
    }
    for gate in gates {
        let Gate { kind, reason, hint, until, .. } = &gate;
        // Gates that a person must fix, and those that open by themselves or were closed on purpose.
        let needs_fix = ["account", "credentials", "scope", "schema"].contains(&kind.as_str());
        let verdict = if needs_fix { Verdict::Problem } else { Verdict::Warning };
        let until = until.map(|u| format!(", until {u}")).unwrap_or_default();
        let way_out = match (hint, kind.as_str()) {
            (Some(hint), _) => hint.clone(),
            (None, "paused") => "resume with `hubferry queue resume`".into(),
            (None, _) => "it opens by itself".into(),
        };
        let detail = format!("closed ({kind}): {reason}{until}");
        report.add("queue", "gate", verdict, detail, Some(way_out));
    }
    let totals = queue.totals(now).await?;
    let waits = totals.oldest_waiting.map_or(TimeDelta::zero(), |since| now - since);
    let detail = format!("the oldest waits for {}", text::span(waits.to_std().unwrap_or_default()));
    if waits > LONG_WAIT {
        let way_out = "see the gate, and whether `hubferry serve` with workers runs";
        report.warning("queue", "waiting", detail, way_out);
    } else {
        report.ok("queue", "waiting", detail);
    }
    let failed: i64 = totals.counts.iter().filter(|c| c.status == "failed").map(|c| c.rows).sum();
    if failed > 0 {
        let detail = format!("{failed} rows have failed");
        report.warning(
            "queue",
            "failed",
            detail,
            "see `hubferry errors list`, fix the cause, then `hubferry rows retry`",
        );
    } else {
        report.ok("queue", "failed", "no row");
    }
    Ok(())
}
