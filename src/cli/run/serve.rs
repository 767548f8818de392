//! `hubferry serve` and `hubferry migrate`: run the server, and update the database schema.

use std::net::SocketAddr;
use std::pin::pin;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use sqlx::postgres::PgConnectOptions;
use tokio::net::{TcpListener, TcpSocket};

use crate::app::{self, App};
use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::cli::stop_signal;
use crate::config::Config;
use crate::telemetry;

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
pub(in crate::cli) struct ServeArgs {
    /// Which parts this process runs; several processes may share one database
    #[arg(long, value_enum, default_value_t = Role::All)]
    role: Role,
}

pub(in crate::cli) async fn run(args: &ServeArgs, config: &Config) -> Result<Exit> {
    telemetry::log_panics();
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
    let listener = bind(listen).with_context(|| {
        format!("the server cannot listen on {listen}: set HUBFERRY_LISTEN to a free address")
    })?;
    let role = match args.role {
        Role::All => app::Role::All,
        Role::Api => app::Role::Api,
        Role::Worker => app::Role::Worker,
    };
    App::start(config, role, queue, listener).await
}

/// Connections that may wait to be accepted; the system may allow fewer. One that finds no place
/// among them tries again a second later.
const WAITING: u32 = 4_096;
/// What the system holds of an answer that was not read yet, in bytes.
const SENDING: u32 = 128 * 1024;

fn bind(listen: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if listen.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // For each connection: many clients that do not read must not fill the system's memory.
    socket.set_send_buffer_size(SENDING)?;
    socket.bind(listen)?;
    socket.listen(WAITING)
}

pub(in crate::cli) async fn migrate(config: &Config) -> Result<Exit> {
    let queue = app::open_queue(config, app::connect_options(config)?).await?;
    queue.pool().close().await;
    say!("The database schema is up to date.");
    Ok(Exit::Done)
}
