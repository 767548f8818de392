//! Runs `hubferry serve` as a child process, so that the benchmark measures the real server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

pub(super) const INGEST_KEY: &str = "the-ingest-key-of-the-benchmark-01";
const ADMIN_KEY: &str = "the-admin-key-of-the-benchmark-012";

/// A running server.
pub(super) struct Server {
    pub(super) child: Child,
    pub(super) address: SocketAddr,
    /// From its start until it said that it was ready.
    #[allow(dead_code)]
    pub(super) ready_after: Duration,
}

impl Server {
    /// Starts one of this program and waits until it is ready.
    pub(super) async fn start(
        database: &PgConnectOptions,
        hubspot_url: &str,
        role: &str,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_of(&super::own_program()?, database, hubspot_url, role, more).await
    }

    /// The same of another program.
    pub(super) async fn start_of(
        program: &Path,
        database: &PgConnectOptions,
        hubspot_url: &str,
        role: &str,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(program)
            .args(["serve", "--role", role])
            .env_clear()
            .env("DATABASE_URL", database.to_url_lossy().to_string())
            .env("HUBSPOT_API_URL", hubspot_url)
            .env("HUBSPOT_API_KEY", &hubspot_sandbox::Settings::default().token)
            .env("HUBFERRY_INGEST_KEY", INGEST_KEY)
            .env("HUBFERRY_ADMIN_KEY", ADMIN_KEY)
            .env("HUBFERRY_LISTEN", "127.0.0.1:0")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let log = child.stderr.take().context("the server's log")?;
        let mut lines = BufReader::new(log).lines();
        while let Some(line) = lines.next_line().await? {
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["message"] != "ready" {
                continue;
            }
            let ready_after = started.elapsed();
            let address = entry["server.address"].as_str().context("an address")?.parse()?;
            // Its log is read on, so that it never waits for us.
            super::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(Self { child, address, ready_after });
        }
        bail!("the server ended before it was ready")
    }

    /// Its resident memory in megabytes, where the system tells (Linux).
    #[allow(dead_code)]
    pub(super) fn memory(&self) -> Option<f64> {
        let status = format!("/proc/{}/status", self.child.id()?);
        let text = std::fs::read_to_string(status).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1024.0)
    }

    /// `kill -9`.
    pub(super) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }
}
