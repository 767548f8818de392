//! The command line: one file a subcommand.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to people")]

mod admin;
mod check;
pub mod cluster;
mod demo;
mod health;
mod remote;
mod sandbox;
mod serve;
mod setup;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment};
use crate::mapping::MappingError;
use crate::telemetry;

/// Carries what happens in an application into HubSpot CRM: nothing lost, nothing doubled, nothing
/// older over newer.
#[derive(Debug, Parser)]
#[command(
    name = "hubferry",
    version,
    after_help = "Examples:\n  hubferry demo                      see it work, with nothing configured\n  hubferry sandbox                   a simulated HubSpot on 127.0.0.1:8090\n  hubferry setup --check             what the HubSpot account lacks\n  hubferry serve                     run the service\n  hubferry retry --error-code INVALID_OPTION\n\nExit codes: 0 done, 1 failed, 2 wrong arguments or settings.",
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
    /// How the queue of a running server stands
    Status(admin::StatusArgs),
    /// Retry failed rows of a running server
    Retry(admin::RetryArgs),
    /// Stop sending; events are still accepted and wait
    Pause(admin::PauseArgs),
    /// Go on sending
    Resume(admin::ResumeArgs),
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
            eprintln!("hubferry: the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(dispatch(cli, &environment)) {
        Ok(code) => code,
        Err(error) => {
            // The chain on one line: what failed, and why.
            eprintln!("hubferry: {error:#}");
            let settings = error.downcast_ref::<ConfigError>().is_some()
                || error.downcast_ref::<MappingError>().is_some();
            if settings { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

async fn dispatch(cli: Cli, environment: &Environment) -> Result<ExitCode> {
    let filter = environment.get("RUST_LOG");
    if let Command::Demo(args) = cli.command {
        telemetry::start_logs("auto", filter, "error");
        return demo::run(&args, environment).await;
    }
    if let Command::Sandbox(args) = cli.command {
        telemetry::start_logs("auto", filter, "info");
        return sandbox::run(args).await;
    }
    let config = Config::load(cli.config.as_deref(), environment)?;
    let level = if matches!(cli.command, Command::Serve(_)) { "info" } else { "warn" };
    telemetry::start_logs(&config.log.format, filter, level);
    match cli.command {
        Command::Serve(args) => serve::run(&args, &config).await,
        Command::Migrate => serve::migrate(&config).await,
        Command::Setup(args) => setup::run(&args, &config).await,
        Command::Check(args) => check::run(&args, &config),
        Command::Status(args) => admin::status(&args, &config).await,
        Command::Retry(args) => admin::retry(&args, &config).await,
        Command::Pause(args) => admin::pause(&args, &config).await,
        Command::Resume(args) => admin::resume(&args, &config).await,
        Command::Health => health::run(&config).await,
        Command::Demo(_) | Command::Sandbox(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Completes when a person or a supervisor asks the process to stop.
async fn stop_signal() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}
