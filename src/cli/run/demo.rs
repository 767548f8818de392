//! `hubferry demo`: runs everything on one machine, without any configuration.
//!
//! It starts a private Postgres cluster, the sandbox, and the server with its workers, and sends
//! the sample events through the HTTP API. From the environment it reads only where the Postgres
//! programs are.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;
use tokio::net::TcpListener;

use super::setup;
use crate::app::{self, App, Role};
use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::cli::text;
use crate::cli::{remote, stop_signal};
use crate::config::{Config, Environment};
use crate::hubspot::Client;
use hubspot_sandbox::{Sandbox, Settings};
use pg_cluster::{Cluster, Options};

#[derive(Debug, Args)]
pub(in crate::cli) struct DemoArgs {
    /// Exit when the sample events are synced; with code 1 if a record is missing
    #[arg(long)]
    exit: bool,
}

/// The sample events: one business, one user, one milestone, one dispute.
const SAMPLES: &str = include_str!("../../../config/samples.ndjson");
/// What HubSpot must have after them.
const RECORDS: [(&str, &str); 4] =
    [("companies", "name"), ("contacts", "email"), ("deals", "dealname"), ("tickets", "subject")];
const ASSOCIATIONS: usize = 6;
/// The samples take less than a second, or longer on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(in crate::cli) async fn run(args: &DemoArgs, environment: &Environment) -> Result<Exit> {
    let started = Instant::now();
    let steps = Steps::new();
    steps.begin("starting a private PostgreSQL");
    let options = Options {
        bin_dir: environment.pg_bin_dir(),
        path: environment.path(),
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::temporary(options)).await??;
    let database = cluster.create_database("hubferry").await?;

    steps.begin("starting the simulated HubSpot");
    let hubspot = TcpListener::bind("127.0.0.1:0").await?;
    let hubspot_url = format!("http://{}", hubspot.local_addr()?);
    let sandbox = Sandbox::new(Settings::default());
    let serving = sandbox.clone().serve(hubspot, std::future::pending());

    let outcome = tokio::select! {
        outcome = show(args, &steps, database, &hubspot_url, &sandbox, started) => outcome,
        served = serving => Err(anyhow::anyhow!("the simulated HubSpot ended: {served:?}")),
    };
    steps.end();
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    outcome
}

async fn show(
    args: &DemoArgs,
    steps: &Steps,
    database: sqlx::postgres::PgConnectOptions,
    hubspot_url: &str,
    sandbox: &Sandbox,
    started: Instant,
) -> Result<Exit> {
    let (ingest_key, admin_key) = (random_key(), random_key());
    let config = Config::load(
        None,
        &Environment::of(&[
            ("HUBSPOT_API_URL", hubspot_url),
            ("HUBSPOT_API_KEY", &Settings::default().token),
            ("HUBFERRY_INGEST_KEY", &ingest_key),
            ("HUBFERRY_ADMIN_KEY", &admin_key),
            // No balancer is in front of it.
            ("HUBFERRY__SERVER__DRAIN_SECONDS", "0"),
        ]),
    )?;
    steps.begin("setting the HubSpot account up");
    let client = Client::new(config.hubspot()?)?;
    let created = setup::prepare(&client, &config, &client).await?;

    steps.begin("starting the server");
    let queue = app::open_queue(&config, database).await?;
    // The usual port, or a free one where that is taken.
    let listener = match TcpListener::bind(config.server.listen).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await?,
    };
    let app = App::start(&config, Role::All, queue, listener).await?;
    let url = format!("http://{}", app.address);

    steps.begin("sending the sample events");
    let http = remote::client(Duration::from_secs(10), "http://")?;
    let reply = http
        .post(format!("{url}/v1/events"))
        .bearer_auth(&ingest_key)
        .header("content-type", "application/x-ndjson")
        .body(SAMPLES)
        .send()
        .await?;
    let status = reply.status();
    let answer: Value = reply.json().await?;
    if !status.is_success() {
        bail!("the sample events were refused: {answer}");
    }
    let synced = wait_until_synced(&app).await?;
    steps.end();
    let sent = sandbox.calls();
    let calls = sent.iter().filter(|c| c.method == "POST" && c.path.contains("/batch/")).count();

    say!(
        "hubferry carried {} into HubSpot in {}, {:.1} s after its start ({created} properties and groups set up).\n",
        text::count(answer["accepted"].as_u64().unwrap_or(0), "event"),
        text::count(calls as u64, "call"),
        started.elapsed().as_secs_f64(),
    );
    let complete = table(sandbox) && synced;
    if !complete {
        say!("Something is missing: not all sample events arrived in HubSpot.");
    }
    if args.exit {
        app.stop().await?;
        return Ok(Exit::of(complete));
    }
    say!();
    say!("  dashboard  {url}/admin    sign in with the admin key");
    say!("  events     {url}/v1/events    the API: {url}/docs");
    say!("  HubSpot    {hubspot_url}    see /_sandbox");
    say!("  ingest key {ingest_key}");
    say!("  admin key  {admin_key}");
    say!("\n  Try: HUBFERRY_INGEST_KEY={ingest_key} hubferry send FILE --url {url}\n");
    say!("Ctrl-C stops the demo and removes everything.");
    app.run_until(stop_signal()).await?;
    Ok(Exit::of(complete))
}

/// Whether every row became `synced` in time.
async fn wait_until_synced(app: &App) -> Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    while app.queue.outstanding().await.context("the queue")? > 0 {
        if Instant::now() > deadline {
            return Ok(false);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let totals = app.queue.totals(app.queue.now().await?).await?;
    Ok(totals.counts.iter().all(|count| count.status == "synced"))
}

/// Prints what HubSpot has now, and returns whether it is complete.
fn table(sandbox: &Sandbox) -> bool {
    say!("  {:<10} {:<12} {:<10} what it says", "object", "HubSpot id", "our id");
    let mut complete = true;
    for (kind, title) in RECORDS {
        let records = sandbox.objects(kind);
        complete &= records.len() == 1;
        for record in records {
            let text = |name: &str| record.properties.get(name).cloned().unwrap_or_default();
            say!("  {kind:<10} {:<12} {:<10} {}", record.id, text("hubferry_id"), text(title));
        }
    }
    // Both directions are listed, and the primary company beside the plain one: a pair is one.
    let mut pairs: Vec<_> = sandbox
        .associations()
        .into_iter()
        .map(|a| {
            let (one, other) = ((a.from_type, a.from_id), (a.to_type, a.to_id));
            if one < other { (one, other) } else { (other, one) }
        })
        .collect();
    pairs.sort();
    pairs.dedup();
    let names: Vec<String> =
        pairs.iter().map(|((one, _), (other, _))| format!("{one}–{other}")).collect();
    say!("  {} associations: {}", names.len(), names.join(", "));
    complete && pairs.len() == ASSOCIATIONS
}

fn random_key() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// A spinner on a terminal; nothing elsewhere.
struct Steps(ProgressBar);

impl Steps {
    fn new() -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_style(ProgressStyle::default_spinner());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    fn begin(&self, what: &'static str) {
        self.0.set_message(what);
    }

    fn end(&self) {
        self.0.finish_and_clear();
    }
}
