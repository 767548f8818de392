//! Measures how fast events are accepted.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::process::Command;

use super::child::{INGEST_KEY, Server};
use super::figure::{Aim, Figure, percentile};
use super::{Bench, load};

/// Concurrent senders, here and in pgbench.
const CONNECTIONS: usize = 64;
/// Users that each connection sends events of.
const SUBJECTS: usize = 300;
/// Events of a large request.
const BATCH: usize = 1_000;
/// No call leaves: only the acceptance of events is measured.
const NOWHERE: &str = "http://127.0.0.1:9";

/// One event a request, beside single-row commits of the same size by pgbench.
pub(super) async fn single(bench: &Bench) -> Result<Vec<Figure>> {
    let mut commits = Figure::new("pgbench, single-row commits, 64 clients", "a second", None);
    let mut requests = Figure::new("ingest, one event a request, 64 connections", "a second", None);
    let mut ratio = Figure::new("ingest against pgbench", "ratio", Some(Aim::AtLeast(0.5)));
    let mut slow = Figure::new("ingest, p95 of a request", "ms", None);
    let mut lone = Figure::new("ingest, a lone request, p50", "ms", None);
    let mut beside = Other::new("ingest of the other program");
    for run in 1..=bench.runs {
        bench.says(format!("pgbench, run {run}"));
        commits.runs.push(pgbench(bench).await?);
        bench.says(format!("ingest, run {run}"));
        let (own, others) =
            by_turns(bench, run, async |server| singles(bench, server).await).await?;
        lone.runs.push(own.lone);
        requests.runs.push(own.rate);
        slow.runs.push(own.p95);
        ratio.runs.push(own.rate / commits.runs[run - 1]);
        beside.add(own.rate, others.map(|others| others.rate));
    }
    Ok([vec![commits, requests, ratio, slow, lone], beside.figures()].concat())
}

/// What single events came to: requests a second, and milliseconds.
struct Singles {
    rate: f64,
    p95: f64,
    lone: f64,
}

async fn singles(bench: &Bench, server: &Server) -> Result<Singles> {
    let (address, time) = (server.address, bench.time);
    let alone = load::post_events(address, INGEST_KEY, 1, time / 5, 500, one).await?;
    let done = load::post_events(address, INGEST_KEY, CONNECTIONS, time, usize::MAX, other).await?;
    Ok(Singles {
        rate: done.requests as f64 / done.elapsed.as_secs_f64(),
        p95: percentile(&done.latencies, 0.95),
        lone: percentile(&alone.latencies, 0.5),
    })
}

/// A thousand events a request, each of another user.
pub(super) async fn bulk(bench: &Bench) -> Result<Vec<Figure>> {
    let mut rate = Figure::new(
        "ingest, 1,000 events a request",
        "events a second",
        Some(Aim::AtLeast(20_000.0)),
    );
    let mut beside = Other::new("1,000 events a request by the other program");
    for run in 1..=bench.runs {
        bench.says(format!("bulk ingest, run {run}"));
        let filled = async |server: &Server| fill(server, bench.events, 1).await;
        let (own, others) = by_turns(bench, run, filled).await?;
        rate.runs.push(own);
        beside.add(own, others);
    }
    Ok([vec![rate], beside.figures()].concat())
}

/// What the program beside this one came to, where there is one.
struct Other {
    rate: Figure,
    ratio: Figure,
}

impl Other {
    fn new(name: &'static str) -> Self {
        let ratio = Figure::new("this program against the other", "ratio", None);
        Self { rate: Figure::new(name, "a second", None), ratio }
    }

    fn add(&mut self, own: f64, others: Option<f64>) {
        if let Some(others) = others {
            self.rate.runs.push(others);
            self.ratio.runs.push(own / others);
        }
    }

    fn figures(self) -> Vec<Figure> {
        if self.rate.runs.is_empty() { Vec::new() } else { vec![self.rate, self.ratio] }
    }
}

/// Measures a server of this program, and one of the other where there is one: in every second run that
/// one first. Each has an empty database.
async fn by_turns<T>(
    bench: &Bench,
    run: usize,
    measured: impl AsyncFn(&Server) -> Result<T>,
) -> Result<(T, Option<T>)> {
    let of = async |program: &Path| {
        let database = bench.database_of(program).await?;
        let server = Server::start_of(program, &database, NOWHERE, "api", &[]).await?;
        let outcome = measured(&server).await?;
        server.kill().await?;
        anyhow::Ok(outcome)
    };
    let own = super::own_program()?;
    match &bench.against {
        None => Ok((of(&own).await?, None)),
        Some(other) if run.is_multiple_of(2) => {
            let others = of(other).await?;
            Ok((of(&own).await?, Some(others)))
        }
        Some(other) => Ok((of(&own).await?, Some(of(other).await?))),
    }
}

/// Sends `events` in large requests, `each` of the same user, and tells how many a second.
pub(super) async fn fill(server: &Server, events: usize, each: usize) -> Result<f64> {
    fill_from(server, 0, events, each).await
}

/// The same with numbers from `start` on.
pub(super) async fn fill_from(
    server: &Server,
    start: usize,
    events: usize,
    each: usize,
) -> Result<f64> {
    let requests = events.div_ceil(BATCH);
    let batch = move |connection: usize, number: usize| {
        let first = start + (connection * requests.div_ceil(4) + number) * BATCH;
        let events: Vec<String> = (first..first + BATCH).map(|n| event(n, n / each)).collect();
        format!("[{}]", events.join(","))
    };
    let done =
        load::post_events(server.address, INGEST_KEY, 4, Duration::from_secs(600), requests, batch)
            .await?;
    Ok((done.requests * BATCH) as f64 / done.elapsed.as_secs_f64())
}

fn one(_: usize, number: usize) -> String {
    event(number, number)
}

fn other(connection: usize, number: usize) -> String {
    let first = (connection + 1) * 10_000_000;
    event(first + number, first + number % SUBJECTS)
}

/// The event `number`, of `user`.
pub(super) fn event(number: usize, user: usize) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"evt-{number}","source":"bench","type":"user.updated","subject":"u-{user}","data":{{"email":"person{user}@example.com","first_name":"Marie","last_name":"Number {number}","phone":"+33612345678","company":"Dupont Electrical"}}}}"#
    )
}

/// Commits of one row each by pgbench, a second.
async fn pgbench(bench: &Bench) -> Result<f64> {
    let name = format!("pgbench_{}", uuid::Uuid::new_v4().simple());
    let database = bench.cluster.create_database(&name).await?;
    let mut db = database.connect().await?;
    sqlx::query(
        "CREATE TABLE line (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, data jsonb NOT NULL)",
    )
    .execute(&mut db)
    .await?;
    db.close().await?;
    let script = std::env::temp_dir().join(format!("{name}.sql"));
    // pgbench reads `:name` as a variable of its own.
    let row = event(1, 1).replace("\":", "\" :").replace("':", "' :");
    std::fs::write(&script, format!("INSERT INTO line (data) VALUES ('{row}');\n"))?;
    let said = run_pgbench(bench, &database, &script).await;
    std::fs::remove_file(&script).ok();
    let said = said?;
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = "))
        .with_context(|| format!("pgbench said no rate: {said}"))?;
    Ok(line.split(' ').next().unwrap_or_default().parse()?)
}

async fn run_pgbench(
    bench: &Bench,
    database: &PgConnectOptions,
    script: &std::path::Path,
) -> Result<String> {
    let seconds = bench.time.as_secs().to_string();
    let connections = CONNECTIONS.to_string();
    let program = bench
        .environment
        .pg_bin_dir()
        .map_or_else(|| PathBuf::from("pgbench"), |dir| dir.join("pgbench"));
    let socket = database.get_socket().context("the cluster's socket")?;
    let mut command = Command::new(&program);
    command.args(["-n", "-M", "prepared", "-j", "2", "-c", &connections, "-T", &seconds, "-f"]);
    command.arg(script).arg("-h").arg(socket).args(["-p", "5432", "-U", database.get_username()]);
    command.arg(database.get_database().unwrap_or("postgres"));
    let output = command.output().await.with_context(|| {
        format!("{} cannot be run; it comes with PostgreSQL", program.display())
    })?;
    if !output.status.success() {
        bail!("pgbench failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
