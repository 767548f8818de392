//! The real binary as a child process.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::process::{Child, Command};

use super::{ADMIN_KEY, INGEST_KEY};

/// The binary without anything of our environment but what running needs.
pub fn hubferry(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hubferry"));
    command.args(args).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    #[expect(clippy::disallowed_methods, reason = "children need the search path")]
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

/// How a child reaches `options`.
pub fn database_url(options: &PgConnectOptions) -> String {
    use sqlx::ConnectOptions as _;
    options.to_url_lossy().to_string()
}

/// `hubferry serve` on a free port.
pub fn serve(database: &PgConnectOptions, hubspot_url: &str, more: &[(&str, &str)]) -> Command {
    let mut command = hubferry(&["serve"]);
    command
        .env("DATABASE_URL", database_url(database))
        .env("HUBSPOT_API_URL", hubspot_url)
        .env("HUBSPOT_API_KEY", "sandbox-token")
        .env("HUBFERRY_INGEST_KEY", INGEST_KEY)
        .env("HUBFERRY_ADMIN_KEY", ADMIN_KEY)
        .env("HUBFERRY_LISTEN", "127.0.0.1:0")
        .env("HUBFERRY__SERVER__DRAIN_SECONDS", "0")
        .envs(more.iter().copied())
        .stdout(Stdio::null());
    command
}

/// A running `hubferry serve`.
pub struct Server {
    pub child: Child,
    pub url: String,
    log: Arc<Mutex<String>>,
}

impl Server {
    /// Starts it and waits until it says that it is ready.
    pub async fn start(
        database: &PgConnectOptions,
        hubspot_url: &str,
        more: &[(&str, &str)],
    ) -> Self {
        let mut command = serve(database, hubspot_url, more);
        command.stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let log = child.stderr.take().expect("a log");
        let (said, ready) = tokio::sync::oneshot::channel();
        let kept = Arc::default();
        tokio::spawn(read_log(log, Arc::clone(&kept), said));
        let url = tokio::time::timeout(Duration::from_secs(30), ready).await;
        Self { url: url.expect("ready in time").expect("ready"), child, log: kept }
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id().expect("running")
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("a log").clone()
    }

    pub async fn kill(mut self) {
        self.child.kill().await.expect("kill -9");
    }

    /// Asks it to stop and waits for its end; tells the end of its log where that is a failure.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        let pid = rustix::process::Pid::from_raw(self.child.id().expect("running") as i32)
            .expect("a pid");
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("a signal");
        let status = self.child.wait().await.expect("an end");
        if !status.success() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            println!("{status}:\n{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        status
    }
}

/// Reads the JSON log to its end, and tells the address once the server is ready.
async fn read_log(
    log: tokio::process::ChildStderr,
    kept: Arc<Mutex<String>>,
    said: tokio::sync::oneshot::Sender<String>,
) {
    use tokio::io::{AsyncBufReadExt, BufReader};
    let (mut lines, mut said) = (BufReader::new(log).lines(), Some(said));
    while let Ok(Some(line)) = lines.next_line().await {
        kept.lock().expect("a log").extend([line.as_str(), "\n"]);
        let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if entry["message"] == "ready" {
            if let (Some(said), Some(address)) = (said.take(), entry["server.address"].as_str()) {
                said.send(format!("http://{address}")).ok();
            }
        } else if entry["level"] == "ERROR" || entry.is_null() {
            println!("server: {line}");
        }
    }
}
