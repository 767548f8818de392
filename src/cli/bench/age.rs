//! Measures whether the speed stays the same: with a million finished rows, while an old snapshot
//! is held open, after ten minutes, and with a million open rows, a tenth of them for one record.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use chrono::TimeDelta;
use sqlx::{ConnectOptions as _, Connection as _};

use super::Bench;
use super::child::{INGEST_KEY, Server};
use super::echo::Echo;
use super::engine::{UNLIMITED, drained, until_done};
use super::figure::{Aim, Figure, percentile};
use super::ingest::event;
use super::load::post_events;
use crate::queue::Queue;
use crate::queue::delivery::lease::Holder;
use crate::queue::delivery::settlement::Settlement;

/// Rows that are done, and rows that are open.
const MILLION: usize = 1_000_000;
/// The user with a tenth of the open rows.
const ONE: usize = MILLION;

/// Drains of each state of the tables, of which the median counts: single ones differ by more than
/// what is looked for.
const DRAINS: usize = 5;

/// The engine on empty tables, beside an open snapshot, and on a million finished rows.
pub(super) async fn engine(bench: &Bench) -> Result<Vec<Figure>> {
    let echo = Echo::start().await?;
    let (mut fresh, mut beside) = (Vec::new(), Vec::new());
    for drain in 1..=DRAINS {
        bench.says(format!("empty tables, drain {drain} of {DRAINS}"));
        let (database, queue) = bench.database().await?;
        fresh.push(drained(bench, &database, &queue, &echo, 0).await?);
        bench.says(format!("beside an open snapshot, drain {drain} of {DRAINS}"));
        let (database, queue) = bench.database().await?;
        let mut reader = database.connect().await?;
        sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM pg_class")
            .execute(&mut reader)
            .await?;
        beside.push(drained(bench, &database, &queue, &echo, 0).await?);
        sqlx::raw_sql("COMMIT").execute(&mut reader).await?;
        reader.close().await?;
    }
    let (database, queue) = bench.database().await?;
    let rounds = MILLION.div_ceil(bench.events);
    for round in 1..=rounds {
        bench.says(format!("a million finished rows, part {round} of {rounds}"));
        drained(bench, &database, &queue, &echo, round).await?;
    }
    // What was done long ago has been vacuumed and written down long ago.
    let mut db = database.connect().await?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut db).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut db).await?;
    db.close().await?;
    let mut aged = Vec::new();
    for drain in 1..=DRAINS {
        bench.says(format!("with a million finished rows, drain {drain} of {DRAINS}"));
        aged.push(drained(bench, &database, &queue, &echo, rounds + drain).await?);
    }
    let reference = percentile(&fresh, 0.5);
    let slower = |name, aim, rates: Vec<f64>| {
        let mut figure = Figure::new(name, "% slower", Some(Aim::AtMost(aim)));
        figure.runs = rates.into_iter().map(|rate| 100.0 * (1.0 - rate / reference)).collect();
        figure
    };
    let mut empty = Figure::new("engine with empty tables", "rows a second", None);
    empty.runs = fresh;
    Ok(vec![
        empty,
        slower("engine with 1 M finished rows", 10.0, aged),
        slower("engine beside an open snapshot", 20.0, beside),
    ])
}

/// Ten minutes of steady load: how much slower the last minute is than the second, and whether the
/// memory grows.
pub(super) async fn steady(bench: &Bench) -> Result<Vec<Figure>> {
    const MINUTES: usize = 10;
    let mut slower = Figure::new("ten minutes of steady load", "% slower", Some(Aim::AtMost(5.0)));
    let mut grown = Figure::new("memory over the ten minutes", "MB more", None);
    let (database, queue) = bench.database().await?;
    let echo = Echo::start().await?;
    let server = Server::start(&database, &echo.url, "all", &UNLIMITED).await?;
    let (mut rates, mut memory) = (Vec::new(), Vec::new());
    for minute in 0..MINUTES {
        bench.says(format!("steady load, minute {} of {MINUTES}", minute + 1));
        let body = move |connection: usize, number: usize| {
            let number = (minute * 8 + connection) * 10_000_000 + number;
            event(number, number % 50_000)
        };
        let minute = Duration::from_secs(60);
        let done = post_events(server.address, INGEST_KEY, 8, minute, usize::MAX, body).await?;
        rates.push(done.requests as f64 / done.elapsed.as_secs_f64());
        memory.push(server.memory().context("the memory of a process is read from /proc")?);
    }
    until_done(&queue, Instant::now()).await?;
    // The first minute fills caches and makes plans.
    slower.runs.push(100.0 * (1.0 - rates[MINUTES - 1] / rates[1]));
    grown.runs.push(memory[MINUTES - 1] - memory[1]);
    server.kill().await?;
    Ok(vec![slower, grown])
}

/// A million open rows over 200,000 records, one of which has a tenth of them.
pub(super) async fn backlog(bench: &Bench) -> Result<Vec<Figure>> {
    let mut lease =
        Figure::new("1 M open rows, lease of 100 records, p99", "ms", Some(Aim::AtMost(10.0)));
    let mut last = Figure::new(
        "1 M open rows, the last quarter of the drain against the first",
        "ratio of rates",
        Some(Aim::AtLeast(0.9)),
    );
    let (database, queue) = bench.database().await?;
    let echo = Echo::start().await?;
    let server = Server::start(&database, &echo.url, "api", &UNLIMITED).await?;
    bench.says("a million open rows: filling");
    // They arrive as they would: every tenth body is of the one record.
    let bodies = MILLION / 1_000;
    let body = move |connection: usize, number: usize| {
        let first = (connection * bodies / 4 + number) * 1_000;
        let of = |n: usize| if number % 10 == 9 { ONE } else { n * 2 / 9 };
        let events: Vec<String> = (first..first + 1_000).map(|n| event(n, of(n))).collect();
        format!("[{}]", events.join(","))
    };
    post_events(server.address, INGEST_KEY, 4, Duration::from_secs(600), bodies, body).await?;
    let mut db = database.connect().await?;
    // What the server would do beside the first leases for the sake of the filling is no part of them.
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut db).await?;
    sqlx::raw_sql("CHECKPOINT").execute(&mut db).await?;
    db.close().await?;
    server.kill().await?;
    bench.says("a million open rows: leasing");
    let holder = Holder { name: "bench".into(), ttl: TimeDelta::seconds(600) };
    let (mut times, mut held) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        let now = queue.now().await?;
        let due = queue.due(&["contact"], now).await?.context("nothing is due")?;
        let asked = Instant::now();
        let batch = queue.lease(&due, 100, &holder, now).await?.context("nothing was leased")?;
        times.push(asked.elapsed().as_secs_f64() * 1_000.0);
        held.push(batch);
    }
    lease.runs.push(percentile(&times, 0.99));
    for batch in held {
        let back: Vec<_> =
            batch.records.iter().map(|r| Settlement::release(r.id, r.doubt)).collect();
        queue.settle(&batch.lease, &back, None, queue.now().await?).await?;
    }
    bench.says("a million open rows: draining");
    let rows = open(&queue).await? as f64;
    let worker = Server::start(&database, &echo.url, "worker", &UNLIMITED).await?;
    let mut marks = vec![Instant::now()];
    for quarter in 1..=4 {
        let left = rows * (1.0 - f64::from(quarter) / 4.0);
        // By the sums that are kept: to count the rows would cost what is measured.
        while open(&queue).await? as f64 > left {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        marks.push(Instant::now());
    }
    let took = |quarter: usize| marks[quarter].duration_since(marks[quarter - 1]).as_secs_f64();
    last.runs.push(took(1) / took(4));
    worker.kill().await?;
    Ok(vec![lease, last])
}

/// Rows that are not done.
async fn open(queue: &Queue) -> Result<i64> {
    let counts = queue.totals(queue.now().await?).await?.counts;
    let ended = |status: &str| ["synced", "failed"].contains(&status);
    Ok(counts.iter().filter(|count| !ended(&count.status)).map(|count| count.rows).sum())
}
