//! `hubferry bench`: measures how fast hubferry is on this machine.
//!
//! It uses a private Postgres with default, durable settings, the real server as a child process,
//! and a HubSpot on this machine. Each measurement runs several times, and the output shows the
//! median and the range.

mod age;
mod child;
mod echo;
mod engine;
mod figure;
mod ingest;
mod load;
mod quota;
mod way;
mod weight;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::process::Command;

use super::exit::Exit;
use crate::app;
use crate::cli::out::say;
use crate::config::Environment;
use crate::queue::Queue;
use figure::Figure;
use pg_cluster::{Cluster, Options};

const EXAMPLES: &str = "Examples:
  hubferry bench                     what takes a few minutes
  hubferry bench ingest engine       two of the measures
  hubferry bench ingest bulk --against ../old/hubferry --runs 7
                                     this program and another one by turns
  hubferry bench ingest --runs 3 --seconds 5 --json";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct BenchArgs {
    /// What to measure (default: the first six except the quota)
    #[arg(value_enum)]
    measures: Vec<Measure>,
    /// Runs of each measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Seconds of each timed run
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=3600))]
    seconds: u16,
    /// Events of a run without a fixed time
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1_000..=10_000_000))]
    events: u32,
    /// Another hubferry binary, measured alternately with this one (ingest and bulk)
    #[arg(long, value_name = "PROGRAM")]
    against: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measure {
    /// One event per request over 64 connections, compared with single-row commits of pgbench
    Ingest,
    /// A thousand events per request
    Bulk,
    /// Lease, fold and settle, with a HubSpot that answers at once: one row per record, and ten
    Engine,
    /// From the POST of an event to its call, at 80 % of the quota and in a burst (default settings)
    Latency,
    /// HubSpot calls for a thousand records: new, changed, unchanged, with ten events each
    Calls,
    /// How much of HubSpot's window a backlog uses; 5,000 companies (about a minute per run)
    Quota,
    /// Memory when idle and under load, the time to start, the size of the binary
    Weight,
    /// From the POST of an event to HubSpot at half the quota, alone and while one of two replicas is
    /// killed (about a minute per run)
    Freshness,
    /// With a million finished rows, and with an open snapshot (one run)
    Age,
    /// With a million open rows, a tenth of them of one record (one run)
    Backlog,
    /// Ten minutes of steady load (one run)
    Steady,
}

impl Measure {
    /// The measurements of the default, a few minutes together.
    const QUICK: [Self; 6] =
        [Self::Ingest, Self::Bulk, Self::Engine, Self::Latency, Self::Calls, Self::Weight];
}

/// What every measurement uses.
struct Bench {
    cluster: Cluster,
    environment: Environment,
    runs: usize,
    time: Duration,
    events: usize,
    /// Measured alternately with this binary, if the measurement supports it.
    against: Option<PathBuf>,
    bar: ProgressBar,
}

impl Bench {
    /// An empty database with the schema, and a handle on its queue.
    async fn database(&self) -> Result<(PgConnectOptions, Queue)> {
        let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
        let options = self.cluster.create_database(&name).await?;
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect_with(options.clone().options(app::SESSION))
            .await?;
        let queue = Queue::new(pool);
        queue.migrate().await?;
        Ok((options, queue))
    }

    /// The same with the schema of `program`.
    async fn database_of(&self, program: &Path) -> Result<PgConnectOptions> {
        let name = format!("bench_{}", uuid::Uuid::new_v4().simple());
        let options = self.cluster.create_database(&name).await?;
        let mut migrate = Command::new(program);
        migrate.arg("migrate").env_clear().stdin(Stdio::null());
        migrate.env("DATABASE_URL", options.to_url_lossy().to_string());
        let run = migrate.output().await;
        let output = run.with_context(|| format!("{} cannot be run", program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!("{} migrate: {said}", program.display());
        }
        Ok(options)
    }

    fn says(&self, what: impl Into<std::borrow::Cow<'static, str>>) {
        self.bar.set_message(what);
    }
}

/// Where this program is.
fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("this program's own path")
}

/// Runs a task of a measure's own; the process ends with the measure.
#[expect(clippy::disallowed_methods, reason = "a benchmark's tasks end with its process")]
fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(task);
}

pub(super) async fn run(args: &BenchArgs, environment: &Environment) -> Result<Exit> {
    let options = Options {
        durable: true,
        bin_dir: environment.pg_bin_dir(),
        path: environment.path(),
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::temporary(options)).await??;
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(100));
    let bench = Bench {
        cluster,
        environment: environment.clone(),
        runs: args.runs.into(),
        time: Duration::from_secs(args.seconds.into()),
        events: args.events as usize,
        against: args.against.clone(),
        bar,
    };
    let outcome = tokio::select! {
        outcome = measure(args, &bench) => outcome,
        () = super::stop_signal() => Err(anyhow::anyhow!("stopped")),
    };
    bench.bar.finish_and_clear();
    tokio::task::spawn_blocking(move || bench.cluster.stop()).await??;
    outcome?;
    Ok(Exit::Done)
}

async fn measure(args: &BenchArgs, bench: &Bench) -> Result<()> {
    let machine = machine(bench).await?;
    if !args.json {
        say!("{machine}\n");
        say!("| measure | median of {} runs | range | aim |\n|---|---|---|---|", args.runs);
    }
    let chosen = if args.measures.is_empty() { &Measure::QUICK[..] } else { &args.measures };
    let mut figures: Vec<Figure> = Vec::new();
    for &measure in chosen {
        let more = match measure {
            Measure::Ingest => ingest::single(bench).await,
            Measure::Bulk => ingest::bulk(bench).await,
            Measure::Engine => engine::drain(bench).await,
            Measure::Latency => way::latency(bench).await,
            Measure::Calls => quota::calls(bench).await,
            Measure::Quota => quota::window(bench).await,
            Measure::Weight => weight::weigh(bench).await,
            Measure::Freshness => way::fresh(bench).await,
            Measure::Age => age::engine(bench).await,
            Measure::Backlog => age::backlog(bench).await,
            Measure::Steady => age::steady(bench).await,
        };
        let more = more.with_context(|| format!("the measure {measure:?}"))?;
        if !args.json {
            bench.bar.suspend(|| more.iter().for_each(|figure| say!("{}", figure.row())));
        }
        figures.extend(more);
    }
    if args.json {
        let figures: Vec<_> = figures
            .iter()
            .map(|f| json!({"name": f.name, "unit": f.unit, "median": f.median(), "aim": f.aim, "runs": f.runs}))
            .collect();
        say!("{:#}", json!({"machine": machine, "figures": figures}));
    }
    Ok(())
}

/// The machine and the settings, in a line.
async fn machine(bench: &Bench) -> Result<String> {
    use sqlx::Connection as _;
    let mut db = bench.cluster.connect_options().connect().await?;
    let (version, commit, sync): (String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_version'), current_setting('synchronous_commit'),
                current_setting('fsync')",
    )
    .fetch_one(&mut db)
    .await?;
    db.close().await?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    Ok(format!(
        "{} cores ({}), PostgreSQL {version} (synchronous_commit {commit}, fsync {sync}, otherwise its \
         defaults), hubferry {} ({} build), everything on this machine",
        std::thread::available_parallelism().map_or(1, usize::from),
        model.trim_start_matches([' ', '\t', ':']),
        env!("CARGO_PKG_VERSION"),
        if cfg!(debug_assertions) { "debug" } else { "release" },
    ))
}
