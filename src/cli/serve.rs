//! `hubferry serve` and `hubferry migrate`.

use std::pin::pin;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use sqlx::postgres::PgConnectOptions;
use tokio::net::TcpListener;

use super::exit::Exit;
use super::stop_signal;
use crate::app::{self, App};
use crate::cli::out::say;
use crate::config::Config;

/// Which parts this process runs.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// HTTP server and workers
    All,
    /// HTTP server only
    Api,
    /// Workers only, with health and metrics
    Worker,
}

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Which parts this process runs; several processes may share one database
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

pub(super) async fn run(args: &ServeArgs, config: &Config) -> Result<Exit> {
    // Everything that can be wrong with the settings is said before anything is started.
    config.ready()?;
    let options = app::connect_options(config)?;
    config.base(&app::mapping(config)?, !matches!(args.role, Role::Api))?;
    let mut stop = pin!(stop_signal());
    let app = tokio::select! {
        app = start(args, config, options) => app?,
        () = &mut stop => {
            tracing::info!("stopped before it was ready");
            return Ok(Exit::Done);
        }
    };
    tracing::info!(server.address = %app.address, version = env!("CARGO_PKG_VERSION"), "ready");
    app.run_until(stop).await?;
    Ok(Exit::Done)
}

async fn start(args: &ServeArgs, config: &Config, options: PgConnectOptions) -> Result<App> {
    let queue = app::open_queue(config, options).await?;
    let listen = config.server.listen;
    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("{listen} cannot be listened on: set HUBFERRY_LISTEN to a free address")
    })?;
    let role = match args.role {
        Role::All => app::Role::All,
        Role::Api => app::Role::Api,
        Role::Worker => app::Role::Worker,
    };
    App::start(config, role, queue, listener).await
}

pub(super) async fn migrate(config: &Config) -> Result<Exit> {
    let queue = app::open_queue(config, app::connect_options(config)?).await?;
    queue.pool().close().await;
    say!("The database schema is up to date.");
    Ok(Exit::Done)
}
