//! Measures how long an event takes to reach HubSpot with default settings.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use super::child::{INGEST_KEY, Server};
use super::echo::Echo;
use super::engine::until_done;
use super::figure::{Aim, Figure, percentile};
use super::ingest::event;
use crate::cli::remote;
use crate::queue::Queue;

/// Events at four fifths of the quota of 100 calls in ten seconds: eight a second, each a call.
const BUSY: Rate = Rate { events: 240, every: Duration::from_millis(125) };
/// Events at half the quota.
const HALF: Rate = Rate { events: 300, every: Duration::from_millis(200) };
/// Events that come at once.
const BURST: usize = 10;
/// The first events of a run make connections and plans.
const WARM_UP: usize = 10;

/// Single events at a steady rate.
#[derive(Clone, Copy)]
struct Rate {
    events: usize,
    every: Duration,
}

/// From the POST of an event to the arrival of its call, at four fifths of the quota; then ten events
/// at once in an idle window.
pub(super) async fn latency(bench: &Bench) -> Result<Vec<Figure>> {
    let aim = |most| Some(Aim::AtMost(most));
    let mut half = Figure::new("POST to call at 80 % of the quota, p50", "ms", aim(10.0));
    let mut most = Figure::new("POST to call at 80 % of the quota, p95", "ms", aim(25.0));
    let mut burst = Figure::new("ten events at once in an idle window, the last", "ms", None);
    for run in 1..=bench.runs {
        bench.says(format!("latency, run {run}"));
        let (database, queue) = bench.database().await?;
        let echo = Echo::start().await?;
        let server = Server::start(&database, &echo.url, "all", &[]).await?;
        let steady = at(BUSY, &server, None, &queue, &echo).await?;
        let waits: Vec<f64> = steady.waits[WARM_UP..].iter().map(|wait| wait * 1_000.0).collect();
        half.runs.push(percentile(&waits, 0.5));
        most.runs.push(percentile(&waits, 0.95));
        // The places of the calls so far are free again after this.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        burst.runs.push(at_once(&server, &queue, &echo).await? * 1_000.0);
        server.kill().await?;
    }
    Ok(vec![half, most, burst])
}

/// How long the last of ten events takes that are posted at once, in seconds.
async fn at_once(server: &Server, queue: &Queue, echo: &Echo) -> Result<f64> {
    let http = remote::client(Duration::from_secs(10), "http://")?;
    let url = format!("http://{}/v1/events", server.address);
    let numbers = BUSY.events..BUSY.events + BURST;
    let sent = Instant::now();
    let requests = numbers.clone().map(|number| {
        let request = http.post(&url).bearer_auth(INGEST_KEY).body(event(number, number));
        request.header("content-type", "application/json").send()
    });
    for reply in futures_util::future::join_all(requests).await {
        reply?.error_for_status()?;
    }
    until_done(queue, Instant::now()).await?;
    let arrived = numbers.map(|number| echo.arrival(&format!("u-{number}")));
    let last = arrived.collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max());
    Ok(last.context("an event that never came")?.duration_since(sent).as_secs_f64())
}

/// From the POST of an event to HubSpot at half the quota, with one replica, and with two of which
/// one is killed after a third of the time.
pub(super) async fn fresh(bench: &Bench) -> Result<Vec<Figure>> {
    let mut alone = Figure::new("freshness at half the quota, p95", "s", Some(Aim::AtMost(2.0)));
    let mut killed =
        Figure::new("freshness while one of two is killed, p95", "s", Some(Aim::AtMost(35.0)));
    let mut slowest = Figure::new("freshness while one of two is killed, longest", "s", None);
    let mut taken =
        Figure::new("events accepted meanwhile by the other", "%", Some(Aim::AtLeast(100.0)));
    for run in 1..=bench.runs {
        bench.says(format!("freshness, run {run}"));
        let one = at_half(bench, false).await?;
        alone.runs.push(percentile(&one.waits, 0.95));
        bench.says(format!("freshness while a replica is killed, run {run}"));
        let two = at_half(bench, true).await?;
        killed.runs.push(percentile(&two.waits, 0.95));
        slowest.runs.push(percentile(&two.waits, 1.0));
        taken.runs.push(100.0 * two.accepted as f64 / HALF.events as f64);
    }
    Ok(vec![alone, killed, slowest, taken])
}

/// How long events took, in seconds, and how many were accepted.
struct Fresh {
    waits: Vec<f64>,
    accepted: usize,
}

async fn at_half(bench: &Bench, kill: bool) -> Result<Fresh> {
    let (database, queue) = bench.database().await?;
    let echo = Echo::start().await?;
    let server = Server::start(&database, &echo.url, "all", &[]).await?;
    let victim = match kill {
        true => Some(Server::start(&database, &echo.url, "all", &[]).await?),
        false => None,
    };
    let fresh = at(HALF, &server, victim, &queue, &echo).await?;
    server.kill().await?;
    Ok(fresh)
}

/// Posts single events to `server` at `rate`, kills `victim` after a third of them, and waits until
/// all is synced.
async fn at(
    rate: Rate,
    server: &Server,
    mut victim: Option<Server>,
    queue: &Queue,
    echo: &Echo,
) -> Result<Fresh> {
    let http = remote::client(Duration::from_secs(10), "http://")?;
    let url = format!("http://{}/v1/events", server.address);
    let mut turn = tokio::time::interval(rate.every);
    let (mut sent, mut accepted) = (Vec::new(), 0);
    for number in 0..rate.events {
        turn.tick().await;
        if number == rate.events / 3
            && let Some(victim) = victim.take()
        {
            victim.kill().await?;
        }
        let request = http.post(&url).bearer_auth(INGEST_KEY).body(event(number, number));
        sent.push(Instant::now());
        let reply = request.header("content-type", "application/json").send().await;
        accepted += usize::from(reply.is_ok_and(|reply| reply.status() == 202));
    }
    until_done(queue, Instant::now()).await?;
    let waits = sent.iter().enumerate().map(|(number, sent)| {
        let arrived = echo.arrival(&format!("u-{number}")).context("an event that never came")?;
        Ok(arrived.duration_since(*sent).as_secs_f64())
    });
    Ok(Fresh { waits: waits.collect::<Result<Vec<_>>>()?, accepted })
}
