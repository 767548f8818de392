//! `hubferry serve` and `hubferry migrate`.

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use tokio::net::TcpListener;

use super::exit::Exit;
use super::stop_signal;
use crate::app::{self, App};
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
    let options = app::connect_options(config)?;
    config.keys()?;
    config.base(&app::mapping(config)?, !matches!(args.role, Role::Api))?;
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
    let app = App::start(config, role, queue, listener).await?;
    tracing::info!(server.address = %app.address, version = env!("CARGO_PKG_VERSION"), "ready");
    app.run_until(stop_signal()).await?;
    Ok(Exit::Done)
}

pub(super) async fn migrate(config: &Config) -> Result<Exit> {
    let queue = app::open_queue(config, app::connect_options(config)?).await?;
    queue.pool().close().await;
    println!("the database schema is up to date");
    Ok(Exit::Done)
}
