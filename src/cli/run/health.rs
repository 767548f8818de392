//! `hubferry health`: the health check of the container.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Result;

use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::config::Config;

pub(in crate::cli) async fn run(config: &Config) -> Result<Exit> {
    let mut address = config.server.listen;
    if address.ip().is_unspecified() {
        address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port());
    }
    let url = format!("http://{address}/readyz");
    let client = crate::cli::remote::client(Duration::from_secs(3), &url)?;
    let reply = client.get(&url).send().await;
    if reply.is_ok_and(|reply| reply.status().is_success()) {
        say!("ready");
        return Ok(Exit::Done);
    }
    say!("not ready: {url}");
    Ok(Exit::Failed)
}
