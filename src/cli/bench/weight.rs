//! Measures memory, size and start time.

use std::time::Duration;

use anyhow::{Context, Result};

use super::Bench;
use super::child::Server;
use super::echo::Echo;
use super::engine::{UNLIMITED, until_done};
use super::figure::{Aim, Figure};
use super::ingest::fill;

/// Memory idle and under load, the time from start to ready, the size of the program.
pub(super) async fn weigh(bench: &Bench) -> Result<Vec<Figure>> {
    let megabytes = |name, aim| Figure::new(name, "MB", Some(Aim::AtMost(aim)));
    let mut idle = megabytes("memory, idle", 40.0);
    let mut load = megabytes("memory, most under full load", 150.0);
    let mut start = Figure::new("start to ready", "ms", Some(Aim::AtMost(300.0)));
    let mut size = megabytes("the program", 25.0);
    let program = std::env::current_exe()?;
    for run in 1..=bench.runs {
        bench.says(format!("memory and start, run {run}"));
        let (database, queue) = bench.database().await?;
        let echo = Echo::start().await?;
        let server = Server::start(&database, &echo.url, "all", &UNLIMITED).await?;
        start.runs.push(server.ready_after.as_secs_f64() * 1_000.0);
        // The account and its schema have been read by then.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let now = || server.memory().context("the memory of a process is read from /proc");
        idle.runs.push(now()?);
        let mut most = now()?;
        let mut turn = tokio::time::interval(Duration::from_millis(50));
        let work = async {
            let began = std::time::Instant::now();
            fill(&server, bench.events, 2).await?;
            until_done(&queue, began).await
        };
        let mut work = Box::pin(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    done?;
                    break;
                }
                _ = turn.tick() => most = most.max(now()?),
            }
        }
        drop(work);
        load.runs.push(most);
        size.runs.push(std::fs::metadata(&program)?.len() as f64 / 1_000_000.0);
        server.kill().await?;
    }
    Ok(vec![idle, load, start, size])
}
