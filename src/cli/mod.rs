//! The command line: `run/` has the commands that need no running server, `remote/` those that do.

mod bench;
mod clock;
mod doctor;
mod exit;
mod input;
mod out;
mod plan;
mod remote;
mod run;
mod send;
mod text;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Environment};
use crate::telemetry;
use exit::Exit;
use remote::{audit, errors, keys, logs, queue, records, rows, settings, status};
use run::{check, completions, demo, health, sandbox, serve, setup};

const EXAMPLES: &str = "Examples:
  hubferry demo                      try it, without any configuration
  hubferry sandbox                   a simulated HubSpot on 127.0.0.1:8090
  hubferry doctor                    what is wrong with this set-up, and what to do
  hubferry setup --check             what the HubSpot account lacks
  hubferry serve                     run the service
  hubferry plan events.ndjson        preview the HubSpot calls for these events
  hubferry send users.csv --type user.updated --subject id
  hubferry logs --follow
  hubferry rows list --status failed
  hubferry rows retry --error-code INVALID_OPTION

`status`, `logs`, `rows`, `records`, `queue`, `settings`, `keys`, `errors` and `audit` talk to the
server of --url (HUBFERRY_URL) with the admin key of --key (HUBFERRY_ADMIN_KEY); `send` with the
ingest key (HUBFERRY_INGEST_KEY).";

/// Sends what happens in an application to HubSpot CRM: no lost events, no duplicates, and stale data
/// never overwrites newer data.
#[derive(Debug, Parser)]
#[command(
    name = "hubferry",
    version,
    after_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    arg_required_else_help = true
)]
struct Cli {
    /// A settings file whose values replace the defaults; see config/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try everything on this machine: private Postgres, simulated HubSpot, server, sample events
    Demo(demo::DemoArgs),
    /// Run the service
    Serve(serve::ServeArgs),
    /// Simulate HubSpot's CRM API, including its faults
    Sandbox(sandbox::SandboxArgs),
    /// Bring the database schema up to date
    Migrate,
    /// Create what the mapping needs in the HubSpot account; a second run changes nothing
    Setup(setup::SetupArgs),
    /// Check settings and mapping files, without any connection
    Check(check::CheckArgs),
    /// Check the whole set-up, including Postgres and HubSpot, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Preview the HubSpot calls for events, and why; nothing is sent
    Plan(plan::PlanArgs),
    /// Send events from a JSON, NDJSON or CSV file; can be run again without duplicates
    Send(send::SendArgs),
    /// Show counts, gates and limits of a running server
    Status(status::StatusArgs),
    /// Show HubSpot calls and failed attempts of a running server, past ones or live
    Logs(logs::LogsArgs),
    /// List, show, retry and discard rows: events that have to reach a HubSpot record
    Rows(rows::RowsArgs),
    /// List, show and resync HubSpot records, and lift erasures
    Records(records::RecordsArgs),
    /// Pause and resume sending
    Queue(queue::QueueArgs),
    /// List, set and reset the settings that can change while the service runs
    Settings(settings::SettingsArgs),
    /// List, create and revoke API keys
    Keys(keys::KeysArgs),
    /// List failed rows in groups, with what to do
    Errors(errors::ErrorsArgs),
    /// List who did what
    Audit(audit::AuditArgs),
    /// Print the completion script for a shell
    Completions(completions::CompletionsArgs),
    /// Measure the throughput on this machine, next to pgbench
    Bench(bench::BenchArgs),
    /// Ask the server of this machine whether it is ready, for container health checks
    Health,
}

/// How to reach a running server.
#[derive(Debug, Args)]
struct ServerArgs {
    /// The address of the server
    #[arg(long, value_name = "URL", env = "HUBFERRY_URL")]
    url: Option<String>,
    /// The admin key
    #[arg(long, value_name = "KEY", env = "HUBFERRY_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command in the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let environment = Environment::of_process();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            telemetry::say(&format!("hubferry: the runtime cannot start: {error}"));
            return Exit::Failed.into();
        }
    };
    let mut exit = runtime.block_on(dispatch(cli, &environment)).unwrap_or_else(|error| {
        telemetry::say(&format!("hubferry: {}", exit::told(&error)));
        exit::of(&error)
    });
    // A reader that stopped reading is no failure; a full disk is.
    if let Some(kind) = out::lost().filter(|kind| *kind != ErrorKind::BrokenPipe) {
        telemetry::say(&format!("hubferry: the output is incomplete: {kind}"));
        exit = if exit == Exit::Done { Exit::Failed } else { exit };
    }
    telemetry::flush();
    // A thread that waits for standard input would keep the process alive.
    runtime.shutdown_background();
    exit.into()
}

async fn dispatch(cli: Cli, environment: &Environment) -> Result<Exit> {
    let filter = environment.get("RUST_LOG");
    match cli.command {
        Command::Demo(args) => {
            telemetry::start_logs("auto", filter, "error");
            return demo::run(&args, environment).await;
        }
        Command::Bench(args) => {
            telemetry::start_logs("auto", filter, "error");
            return bench::run(&args, environment).await;
        }
        Command::Sandbox(args) => {
            telemetry::start_logs("auto", filter, "info");
            return sandbox::run(args).await;
        }
        Command::Completions(args) => return Ok(completions::run(&args)),
        _ => {}
    }
    let config = match Config::load(cli.config.as_deref(), environment) {
        Ok(config) => config,
        // Settings that do not load are the first finding of `doctor`.
        Err(error) => match cli.command {
            Command::Doctor(args) => return doctor::without_settings(&args, &error),
            _ => return Err(error.into()),
        },
    };
    let level = if matches!(cli.command, Command::Serve(_)) { "info" } else { "warn" };
    telemetry::start_logs(&config.log.format, filter, level);
    match cli.command {
        Command::Serve(args) => serve::run(&args, &config).await,
        Command::Migrate => serve::migrate(&config).await,
        Command::Setup(args) => setup::run(&args, &config).await,
        Command::Check(args) => check::run(&args, &config),
        Command::Doctor(args) => doctor::run(&args, &config).await,
        Command::Plan(args) => plan::run(&args, &config).await,
        Command::Send(args) => Box::pin(send::run(&args, &config, environment)).await,
        Command::Status(args) => status::run(&args, &config).await,
        Command::Logs(args) => logs::run(&args, &config).await,
        Command::Rows(args) => rows::run(&args, &config).await,
        Command::Records(args) => records::run(&args, &config).await,
        Command::Queue(args) => queue::run(&args, &config).await,
        Command::Settings(args) => settings::run(&args, &config).await,
        Command::Keys(args) => keys::run(&args, &config).await,
        Command::Errors(args) => errors::run(&args, &config).await,
        Command::Audit(args) => audit::run(&args, &config).await,
        Command::Health => health::run(&config).await,
        Command::Demo(_) | Command::Sandbox(_) | Command::Bench(_) | Command::Completions(_) => {
            Ok(Exit::Done)
        }
    }
}

/// Completes when a person or a supervisor asks the process to stop. From the call on no such
/// signal ends the process by itself.
fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let [interrupt, terminate] = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    let comes = async |heard: std::io::Result<tokio::signal::unix::Signal>| match heard {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => std::future::pending().await,
    };
    async move {
        tokio::select! {
            () = comes(interrupt) => {}
            () = comes(terminate) => {}
        }
    }
}
