//! The command line: one file for each subcommand.

mod admin;
mod bench;
mod check;
mod clock;
mod completions;
mod demo;
mod doctor;
mod exit;
mod health;
mod input;
mod keys;
mod logs;
mod out;
mod plan;
mod remote;
mod sandbox;
mod send;
mod serve;
mod setup;
mod text;

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, Environment};
use crate::telemetry;
use exit::Exit;

const EXAMPLES: &str = "Examples:
  hubferry demo                      see it work, with nothing configured
  hubferry sandbox                   a simulated HubSpot on 127.0.0.1:8090
  hubferry doctor                    what is wrong with this set-up, and what to do
  hubferry setup --check             what the HubSpot account lacks
  hubferry serve                     run the service
  hubferry plan events.ndjson        the HubSpot calls that these events would come to
  hubferry send users.csv --type user.updated --subject id
  hubferry logs --follow
  hubferry retry --error-code INVALID_OPTION

`status`, `retry`, `pause`, `resume`, `logs` and `keys` talk to the server of --url (HUBFERRY_URL)
with the admin key of --key (HUBFERRY_ADMIN_KEY); `send` with the ingest key (HUBFERRY_INGEST_KEY).";

/// Carries what happens in an application into HubSpot CRM: nothing lost, nothing doubled, nothing
/// older over newer.
#[derive(Debug, Parser)]
#[command(
    name = "hubferry",
    version,
    after_help = format!("{EXAMPLES}\n\n{}", exit::HELP),
    arg_required_else_help = true
)]
struct Cli {
    /// A settings file laid over the defaults; see config/default.toml
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything on this machine, with nothing configured: private Postgres, simulated HubSpot,
    /// server, sample events
    Demo(demo::DemoArgs),
    /// Run the service
    Serve(serve::ServeArgs),
    /// Simulate HubSpot's CRM API, faults included
    Sandbox(sandbox::SandboxArgs),
    /// Bring the database schema up to date
    Migrate,
    /// Create what the mapping needs in the HubSpot account; running it again changes nothing
    Setup(setup::SetupArgs),
    /// Check settings and mapping files, without any connection
    Check(check::CheckArgs),
    /// Look at everything that must be right, Postgres and HubSpot included, and say what to do
    Doctor(doctor::DoctorArgs),
    /// Show the HubSpot calls that events would come to, and why; nothing is sent
    Plan(plan::PlanArgs),
    /// Send events from a JSON, NDJSON or CSV file; again after an interruption, without doubling
    Send(send::SendArgs),
    /// How the queue of a running server stands
    Status(admin::StatusArgs),
    /// Retry failed rows of a running server
    Retry(admin::RetryArgs),
    /// Stop sending; events are still accepted and wait
    Pause(admin::PauseArgs),
    /// Go on sending
    Resume(admin::ResumeArgs),
    /// HubSpot calls and failed attempts of a running server, as they were or as they come
    Logs(logs::LogsArgs),
    /// List, make and revoke the keys of a running server
    Keys(keys::KeysArgs),
    /// Print what makes a shell complete these commands
    Completions(completions::CompletionsArgs),
    /// Measure how fast it is on this machine, beside pgbench
    Bench(bench::BenchArgs),
    /// Ask the server of this machine whether it is ready, for container health checks
    Health,
}

/// How to reach a running server.
#[derive(Debug, Args)]
struct ServerArgs {
    /// Its address
    #[arg(long, value_name = "URL", env = "HUBFERRY_URL")]
    url: Option<String>,
    /// Its admin key
    #[arg(long, value_name = "KEY", env = "HUBFERRY_ADMIN_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Print the answer as JSON
    #[arg(long)]
    json: bool,
}

/// Runs what the arguments of the process say.
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
    // A reader that has seen enough is no failure; a full disk is.
    if let Some(kind) = out::lost().filter(|kind| *kind != ErrorKind::BrokenPipe) {
        telemetry::say(&format!("hubferry: the output is not complete: {kind}"));
        exit = if exit == Exit::Done { Exit::Failed } else { exit };
    }
    telemetry::flush();
    // A thread that waits for standard input would hold the process up.
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
        // Settings that do not load are the first thing that a doctor tells.
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
        Command::Status(args) => admin::status(&args, &config).await,
        Command::Retry(args) => admin::retry(&args, &config).await,
        Command::Pause(args) => admin::pause(&args, &config).await,
        Command::Resume(args) => admin::resume(&args, &config).await,
        Command::Logs(args) => logs::run(&args, &config).await,
        Command::Keys(args) => keys::run(&args, &config).await,
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
