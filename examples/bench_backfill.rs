//! How long live events take while `hubferry send --backfill` carries a large file.
//!
//! A private Postgres, a simulated HubSpot with its limit and a latency, the server, the real
//! command line, and a live event every 200 ms whose way is followed until it is synced. A
//! benchmark, not a test: it prints and judges nothing.
#![expect(clippy::print_stdout, reason = "a benchmark talks to people")]
#![expect(clippy::disallowed_methods, reason = "its tasks are its own")]

use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use hubferry::app::{self, App, Role};
use hubferry::config::{Config, Environment};
use hubspot_sandbox::{Faults, Sandbox, Settings};
use pg_cluster::{Cluster, Options};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

const KEY: &str = "the-ingest-key-of-the-benchmark-01";
/// A live event comes this often.
const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Parser)]
struct Args {
    /// Events of the backfill, each of another user
    #[arg(long, default_value_t = 100_000)]
    events: usize,
    /// HubSpot's latency in milliseconds
    #[arg(long, default_value_t = 100)]
    latency_ms: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> Result<()> {
    let environment = Environment::of_process();
    let options = Options {
        bin_dir: environment.pg_bin_dir(),
        path: environment.path(),
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::temporary(options)).await??;
    let outcome = measured(&args, &cluster).await;
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    outcome
}

async fn measured(args: &Args, cluster: &Cluster) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let hubspot = format!("http://{}", listener.local_addr()?);
    let sandbox = Sandbox::new(Settings::default());
    tokio::spawn(sandbox.clone().serve(listener, std::future::pending()));
    let config = Config::load(
        None,
        &Environment::of(&[
            ("HUBSPOT_API_URL", &hubspot),
            ("HUBSPOT_API_KEY", &Settings::default().token),
            ("HUBFERRY_INGEST_KEY", KEY),
            ("HUBFERRY_ADMIN_KEY", "the-admins-key-of-the-benchmark-01"),
        ]),
    )?;
    let client = hubferry::hubspot::Client::new(config.hubspot()?)?;
    let version = client.version().clone();
    let mapping = app::mapping(&config)?;
    let set_up = hubferry::hubspot::setup::setup(&client, &version, &mapping, false).await;
    set_up.map_err(|failure| anyhow::anyhow!("the account: {}", failure.message))?;
    // The set-up took places of the window that our ledger knows nothing of.
    tokio::time::sleep(Duration::from_secs(11)).await;
    sandbox.clear_calls();
    sandbox.set_faults(Faults { latency_ms: Some(args.latency_ms), ..Faults::default() });

    let queue = app::open_queue(&config, cluster.create_database("bench").await?).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let app = App::start(&config, Role::All, queue, listener).await?;
    let url = format!("http://{}", app.address);
    let mut file = tempfile::NamedTempFile::with_suffix(".ndjson")?;
    for n in 0..args.events {
        let event = json!({ "type": "user.updated", "subject": format!("old-{n}"),
            "time": "2026-01-01T10:00:00Z", "data": { "email": format!("old{n}@example.com"),
            "first_name": "Marie", "last_name": format!("Dupont {n}") } });
        writeln!(file, "{event}")?;
    }
    println!(
        "{} events by `send --backfill`, a live event every {} ms, HubSpot: 100 calls in 10 s, {} ms each",
        args.events,
        EVERY.as_millis(),
        args.latency_ms
    );
    let started = Instant::now();
    let mut sending = send(&url, file.path())?;
    let mut live = Vec::new();
    let mut turn = tokio::time::interval(EVERY);
    let mut people = tokio::task::JoinSet::new();
    let status = loop {
        tokio::select! {
            status = sending.wait() => break status?,
            _ = turn.tick() => {
                let (url, number) = (url.clone(), live.len() + people.len());
                people.spawn(async move { one(&url, number).await });
            }
            Some(done) = people.join_next() => live.push(done??),
        }
    };
    let took = started.elapsed();
    while let Some(done) = people.join_next().await {
        live.push(done??);
    }
    live.sort_unstable();
    let part = |part: f64| live[((live.len() as f64 * part) as usize).min(live.len() - 1)];
    println!("send ended with {status} after {:.0} s", took.as_secs_f64());
    println!(
        "backfill: {:.0} records a second; most calls in any 10 s: {}",
        args.events as f64 / took.as_secs_f64(),
        sandbox.peak_window()
    );
    println!(
        "live: {} events, from POST to synced p50 {} ms, p95 {} ms, longest {} ms",
        live.len(),
        part(0.50).as_millis(),
        part(0.95).as_millis(),
        part(1.0).as_millis()
    );
    app.stop().await
}

/// The command line of the same build.
fn send(url: &str, file: &Path) -> Result<tokio::process::Child> {
    let here = std::env::current_exe()?;
    let built = here.parent().and_then(Path::parent).context("no build folder")?.join("hubferry");
    anyhow::ensure!(built.exists(), "{} is not built: cargo build it first", built.display());
    let mut command = Command::new(built);
    command.args(["send", "--backfill", "--from-start", "--url", url]).arg(file);
    Ok(command.env("HUBFERRY_INGEST_KEY", KEY).kill_on_drop(true).spawn()?)
}

/// Sends a live event and follows it.
async fn one(url: &str, number: usize) -> Result<Duration> {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build()?;
    let event = json!({ "id": format!("live-{number}"), "type": "user.updated",
        "subject": format!("live-{}", number % 50), "data": { "first_name": format!("A{number}") } });
    let started = Instant::now();
    let post = http.post(format!("{url}/v1/events")).bearer_auth(KEY).json(&event);
    post.send().await?.error_for_status()?;
    while started.elapsed() < Duration::from_secs(120) {
        let asked = http.get(format!("{url}/v1/events/live-{number}")).bearer_auth(KEY);
        let answer: Value = asked.send().await?.error_for_status()?.json().await?;
        if answer["rows"][0]["status"] == "synced" {
            return Ok(started.elapsed());
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    anyhow::bail!("live-{number} was not synced in two minutes")
}
