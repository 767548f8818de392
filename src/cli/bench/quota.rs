//! Measures how many calls are needed and how much of the rate limit can be used, against the
//! simulated HubSpot.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;
use tokio::net::TcpListener;

use super::Bench;
use super::child::{INGEST_KEY, Server};
use super::engine::{UNLIMITED, until_done};
use super::figure::{Aim, Figure};
use crate::app;
use crate::config::{Config, Environment};
use crate::hubspot::{Client, setup};
use crate::queue::Queue;
use hubspot_sandbox::{Faults, Sandbox, Settings};

/// A simulated account that is set up.
pub(super) struct Account {
    pub(super) sandbox: Sandbox,
    pub(super) url: String,
}

impl Account {
    /// With so many calls in ten seconds, each of which takes `latency`.
    pub(super) async fn start(limit: u32, latency: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let sandbox = Sandbox::new(Settings { limit_per_10s: limit, ..Settings::default() });
        let served = sandbox.clone().serve(listener, std::future::pending());
        super::spawn(async move { drop(served.await) });
        let token = Settings::default().token;
        let environment =
            Environment::of(&[("HUBSPOT_API_URL", url.as_str()), ("HUBSPOT_API_KEY", &token)]);
        let config = Config::load(None, &environment)?;
        let client = Client::new(config.hubspot()?)?;
        let version = client.version().clone();
        setup::setup(&client, &version, &app::mapping(&config)?, false)
            .await
            .map_err(|failure| anyhow::anyhow!("the account: {}", failure.message))?;
        // The set-up took places of the window that no ledger knows of.
        if limit < 1_000 {
            tokio::time::sleep(Duration::from_millis(10_100)).await;
        }
        sandbox.clear_calls();
        let latency_ms = u64::try_from(latency.as_millis()).ok();
        sandbox.set_faults(Faults { latency_ms, ..Faults::default() });
        Ok(Self { sandbox, url })
    }

    /// Writes since the last look: batches of records, and batches of associations.
    fn writes(&self) -> (f64, f64) {
        let calls = self.sandbox.calls();
        let count = |part: &str| {
            calls.iter().filter(|c| c.path.contains(part) && !c.path.ends_with("/read")).count()
        };
        let found = (count("/objects/") as f64, count("/associations/") as f64);
        self.sandbox.clear_calls();
        found
    }
}

/// Calls for a thousand records that are new, changed, unchanged, and that have ten events each.
pub(super) async fn calls(bench: &Bench) -> Result<Vec<Figure>> {
    let figure = |name, aim| Figure::new(name, "calls", Some(Aim::AtMost(aim)));
    let mut new = figure("1,000 new contacts", 11.0);
    let mut links = figure("their 1,000 links to companies", 11.0);
    let mut same = figure("1,000 unchanged contacts", 0.0);
    let mut changed = figure("1,000 changed contacts", 11.0);
    let mut many = figure("1,000 contacts with ten events each", 11.0);
    for run in 1..=bench.runs {
        bench.says(format!("calls, run {run}"));
        let account = Account::start(1_000_000, Duration::ZERO).await?;
        let (database, queue) = bench.database().await?;
        let server = Server::start(&database, &account.url, "all", &UNLIMITED).await?;
        let companies = (0..1_000).map(|n| {
            json!({"type": "business.created", "subject": format!("b-{n}"),
                   "data": {"name": format!("Company {n}"), "country": "FR"}})
        });
        post(&server, &queue, companies.collect()).await?;
        account.writes();
        let user = |n: usize, name: &str| {
            json!({"type": "user.updated", "subject": format!("u-{n}"),
                   "data": {"email": format!("u{n}@example.com"), "first_name": "Marie",
                            "last_name": name, "business_id": format!("b-{n}")}})
        };
        let mut writes = Vec::new();
        for name in ["Dupont", "Dupont", "Durand"] {
            post(&server, &queue, (0..1_000).map(|n| user(n, name)).collect()).await?;
            writes.push(account.writes());
        }
        new.runs.push(writes[0].0);
        links.runs.push(writes[0].1);
        same.runs.push(writes[1].0 + writes[1].1);
        changed.runs.push(writes[2].0 + writes[2].1);
        let events = (0..10_000).map(|n| user(2_000 + n / 10, &format!("Name {n}")));
        post(&server, &queue, events.collect()).await?;
        many.runs.push(account.writes().0);
        server.kill().await?;
    }
    Ok(vec![new, links, same, changed, many])
}

/// What is used of the window under a backlog, and 5,000 companies from their POST to the end.
pub(super) async fn window(bench: &Bench) -> Result<Vec<Figure>> {
    const WINDOW_MS: u64 = 10_000;
    let share = |name, aim| Figure::new(name, "% of the window", Some(aim));
    let mut used = share("quota used under a backlog", Aim::AtLeast(95.0));
    let mut most = share("the fullest ten seconds", Aim::AtMost(100.0));
    let mut companies =
        Figure::new("5,000 companies at 100 calls in 10 s", "s", Some(Aim::AtMost(10.0)));
    for run in 1..=bench.runs {
        bench.says(format!("quota, run {run}"));
        let account = Account::start(100, Duration::from_millis(50)).await?;
        let (database, queue) = bench.database().await?;
        let server = Server::start(&database, &account.url, "all", &[]).await?;
        // What the start of the service asked takes places too, which are free again after this.
        tokio::time::sleep(Duration::from_millis(10_500)).await;
        let began = Instant::now();
        post_only(&server, (0..5_000).map(company).collect()).await?;
        companies.runs.push(until_done(&queue, began).await?.as_secs_f64());
        account.sandbox.clear_calls();
        let began = Instant::now();
        for part in 1..=4 {
            post_only(&server, (part * 10_000..(part + 1) * 10_000).map(company).collect()).await?;
        }
        until_done(&queue, began).await?;
        let calls = account.sandbox.calls();
        let times: Vec<u64> =
            calls.iter().filter(|c| c.rate_counted).map(|c| c.arrived_at_ms).collect();
        let (first, last) = (times[0], times[times.len() - 1]);
        // Whole windows, from the first full one to the last: the end of the backlog is none.
        let whole = (last - first) / WINDOW_MS;
        let counted = times.iter().filter(|&&at| at < first + whole * WINDOW_MS).count();
        used.runs.push(counted as f64 / whole.max(1) as f64);
        most.runs.push(account.sandbox.peak_window() as f64);
        server.kill().await?;
    }
    Ok(vec![used, most, companies])
}

fn company(n: usize) -> serde_json::Value {
    json!({"type": "business.created", "subject": format!("b-{n}"),
           "data": {"name": format!("Company {n}"), "country": "FR"}})
}

/// Sends `events` in one body and waits until all is done.
async fn post(server: &Server, queue: &Queue, events: Vec<serde_json::Value>) -> Result<()> {
    post_only(server, events).await?;
    until_done(queue, Instant::now()).await?;
    Ok(())
}

async fn post_only(server: &Server, events: Vec<serde_json::Value>) -> Result<()> {
    let url = format!("http://{}/v1/events", server.address);
    let http = crate::cli::remote::client(Duration::from_secs(60), "http://")?;
    let reply = http.post(url).bearer_auth(INGEST_KEY).json(&events).send().await?;
    reply.error_for_status().context("the events were refused")?;
    Ok(())
}
