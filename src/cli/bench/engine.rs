//! Measures how fast due records are leased, folded, sent and settled when HubSpot answers at once.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use sqlx::postgres::PgConnectOptions;

use super::child::Server;
use super::echo::Echo;
use super::figure::{Aim, Figure};
use super::{Bench, ingest};
use crate::queue::Queue;

/// What a server needs to go as fast as it can.
pub(super) const UNLIMITED: [(&str, &str); 2] = [
    ("HUBFERRY__HUBSPOT__LIMIT_PER_10S", "1000000"),
    ("HUBFERRY__HUBSPOT__LIMIT_PER_DAY", "1000000000"),
];

/// A backlog of one row a record, and one of ten.
pub(super) async fn drain(bench: &Bench) -> Result<Vec<Figure>> {
    let mut one =
        Figure::new("engine, one row a record", "rows a second", Some(Aim::AtLeast(10_000.0)));
    let mut ten =
        Figure::new("engine, ten rows a record", "rows a second", Some(Aim::AtLeast(30_000.0)));
    for run in 1..=bench.runs {
        bench.says(format!("engine, one row a record, run {run}"));
        one.runs.push(backlog(bench, 1).await?);
        bench.says(format!("engine, ten rows a record, run {run}"));
        ten.runs.push(backlog(bench, 10).await?);
    }
    Ok(vec![one, ten])
}

/// Rows a second that a worker process gets through.
async fn backlog(bench: &Bench, each: usize) -> Result<f64> {
    let (database, queue) = bench.database().await?;
    let echo = Echo::start().await?;
    let server = Server::start(&database, &echo.url, "api", &UNLIMITED).await?;
    ingest::fill(&server, bench.events, each).await?;
    server.kill().await?;
    work(&database, &queue, &echo, bench.events / each).await
}

/// The same on a database that may hold others already: round `round` has users of its own.
pub(super) async fn drained(
    bench: &Bench,
    database: &PgConnectOptions,
    queue: &Queue,
    echo: &Echo,
    round: usize,
) -> Result<f64> {
    let server = Server::start(database, &echo.url, "api", &UNLIMITED).await?;
    ingest::fill_from(&server, (round + 1) * 1_000_000_000, bench.events, 1).await?;
    server.kill().await?;
    work(database, queue, echo, bench.events).await
}

/// Rows a second from the first call until nothing is open.
async fn work(
    database: &PgConnectOptions,
    queue: &Queue,
    echo: &Echo,
    records: usize,
) -> Result<f64> {
    let rows = queue.outstanding().await? as f64;
    let before = echo.inputs();
    let mut calls = echo.watch();
    let worker = Server::start(database, &echo.url, "worker", &UNLIMITED).await?;
    calls.changed().await?;
    let began = *calls.borrow();
    // Counting what is open costs the database something: only towards the end.
    while echo.inputs() - before < records as u64 {
        tokio::time::timeout(Duration::from_secs(60), calls.changed()).await??;
    }
    let took = until_done(queue, began).await?;
    worker.kill().await?;
    Ok(rows / took.as_secs_f64())
}

/// Waits until nothing is open any more.
pub(super) async fn until_done(queue: &Queue, began: Instant) -> Result<Duration> {
    let patience = Duration::from_secs(900);
    while queue.outstanding().await? > 0 {
        if began.elapsed() > patience {
            bail!("rows are left after {patience:?}");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(began.elapsed())
}
