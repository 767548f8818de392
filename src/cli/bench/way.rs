//! How long an event takes to HubSpot.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::Bench;
use super::child::{INGEST_KEY, Server};
use super::echo::Echo;
use super::engine::{UNLIMITED, until_done};
use super::figure::{Aim, Figure, percentile};
use super::ingest::event;
use crate::cli::remote;

/// Events that each find an idle service.
const EVENTS: usize = 200;

/// From the POST of an event to the arrival of its call.
pub(super) async fn idle(bench: &Bench) -> Result<Vec<Figure>> {
    let mut half = Figure::new("idle, POST to call, p50", "ms", Some(Aim::AtMost(10.0)));
    let mut most = Figure::new("idle, POST to call, p95", "ms", Some(Aim::AtMost(25.0)));
    for run in 1..=bench.runs {
        bench.says(format!("idle latency, run {run}"));
        let (database, _queue) = bench.database().await?;
        let echo = Echo::start().await?;
        let server = Server::start(&database, &echo.url, "all", &UNLIMITED).await?;
        let http = remote::client(Duration::from_secs(10))?;
        let url = format!("http://{}/v1/events", server.address);
        let mut latencies = Vec::new();
        for number in 0..EVENTS + 10 {
            let mut calls = echo.watch();
            let sent = Instant::now();
            let request = http.post(&url).bearer_auth(INGEST_KEY).body(event(number, number));
            request.header("content-type", "application/json").send().await?.error_for_status()?;
            tokio::time::timeout(Duration::from_secs(30), calls.changed())
                .await
                .context("an event did not reach HubSpot")??;
            let arrived = *calls.borrow_and_update();
            latencies.push(arrived.duration_since(sent).as_secs_f64() * 1_000.0);
            // The settle of this one is no part of the next one's way.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // The first ones make connections and plans.
        half.runs.push(percentile(&latencies[10..], 0.5));
        most.runs.push(percentile(&latencies[10..], 0.95));
        server.kill().await?;
    }
    Ok(vec![half, most])
}

/// Events of a run at half the quota: five a second, each a call.
const STEADY: usize = 300;
const EVERY: Duration = Duration::from_millis(200);

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
        taken.runs.push(100.0 * two.accepted as f64 / STEADY as f64);
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
    let mut other = match kill {
        true => Some(Server::start(&database, &echo.url, "all", &[]).await?),
        false => None,
    };
    let http = remote::client(Duration::from_secs(10))?;
    let url = format!("http://{}/v1/events", server.address);
    let mut turn = tokio::time::interval(EVERY);
    let (mut sent, mut accepted) = (Vec::new(), 0);
    for number in 0..STEADY {
        turn.tick().await;
        if number == STEADY / 3
            && let Some(victim) = other.take()
        {
            victim.kill().await?;
        }
        let request = http.post(&url).bearer_auth(INGEST_KEY).body(event(number, number));
        sent.push(Instant::now());
        let reply = request.header("content-type", "application/json").send().await;
        accepted += usize::from(reply.is_ok_and(|reply| reply.status() == 202));
    }
    until_done(&queue, Instant::now()).await?;
    let waits = sent.iter().enumerate().map(|(number, sent)| {
        let arrived = echo.arrival(&format!("u-{number}")).context("an event that never came")?;
        Ok(arrived.duration_since(*sent).as_secs_f64())
    });
    let waits = waits.collect::<Result<Vec<_>>>()?;
    server.kill().await?;
    Ok(Fresh { waits, accepted })
}
