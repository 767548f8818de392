//! `hubferry sandbox`: runs a simulated HubSpot.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use tokio::net::TcpListener;

use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::cli::stop_signal;
use hubspot_sandbox::{Faults, Sandbox, Settings};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry sandbox\n  hubferry sandbox --limit-per-10s 190 --latency-ms 100\n  hubferry sandbox --faults '{\"outage\":{\"status\":503,\"remaining\":5}}'\n  curl -X PUT http://127.0.0.1:8090/_sandbox/faults -d '{\"no_multi_status\":true}'\n\nGET /_sandbox lists what can be looked at and changed while it runs."
)]
pub(in crate::cli) struct SandboxArgs {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1:8090", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The access token that is accepted
    #[arg(long, default_value = "sandbox-token", value_name = "TOKEN")]
    token: String,
    /// The id of the account
    #[arg(long, default_value_t = 1_234_567, value_name = "NUMBER")]
    portal_id: u64,
    /// The account's time zone
    #[arg(long, default_value = "Europe/Paris", value_name = "ZONE")]
    time_zone: String,
    /// Calls in any rolling ten seconds
    #[arg(long, default_value_t = 100, value_name = "CALLS")]
    limit_per_10s: u32,
    /// Calls a day
    #[arg(long, default_value_t = 250_000, value_name = "CALLS")]
    daily_limit: u32,
    /// The delay of every reply, in milliseconds
    #[arg(long, default_value_t = 0, value_name = "MS")]
    latency_ms: u64,
    /// The seed of all randomness, such as the order of results
    #[arg(long, default_value_t = 7, value_name = "NUMBER")]
    seed: u64,
    /// The faults at the start, as JSON; GET /_sandbox/faults shows all of them
    #[arg(long, value_name = "JSON", value_parser = faults)]
    faults: Option<Faults>,
}

fn faults(text: &str) -> Result<Faults, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

pub(in crate::cli) async fn run(args: SandboxArgs) -> Result<Exit> {
    let listener = TcpListener::bind(args.listen).await.with_context(|| {
        format!("cannot listen on {}: give a free address with --listen", args.listen)
    })?;
    let address = listener.local_addr()?;
    let sandbox = Sandbox::new(Settings {
        token: args.token.clone(),
        portal_id: args.portal_id,
        time_zone: args.time_zone,
        limit_per_10s: args.limit_per_10s,
        daily_limit: args.daily_limit,
        latency: Duration::from_millis(args.latency_ms),
        seed: args.seed,
        faults: args.faults.unwrap_or_default(),
        ..Settings::default()
    });
    say!("HubSpot is simulated at http://{address}, see http://{address}/_sandbox");
    say!("  export HUBSPOT_API_URL=http://{address} HUBSPOT_API_KEY={}", args.token);
    sandbox.serve(listener, stop_signal()).await?;
    Ok(Exit::Done)
}
