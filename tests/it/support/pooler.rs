//! A real PgBouncer in transaction mode, in front of the tests' Postgres.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use super::gulf::{over, password};

/// A running pooler; it ends with this.
pub struct Pooler {
    /// How clients reach the database through it.
    pub database: PgConnectOptions,
    _child: Child,
    _dir: tempfile::TempDir,
}

impl Pooler {
    /// Starts one in front of `database`, with `connections` to the server at most. `None` where
    /// there is no PgBouncer that knows prepared statements, unless HUBFERRY_REQUIRE_PGBOUNCER is set.
    pub async fn start(database: &PgConnectOptions, connections: usize) -> Option<Self> {
        Self::start_with(database, connections, 200).await
    }

    /// One that keeps a connection for each client, and no prepared statements of its own.
    pub async fn in_session_mode(database: &PgConnectOptions) -> Option<Self> {
        Self::start_in(database, 20, 0, "session").await
    }

    /// One that keeps so many prepared statements; with none it is as before 1.21.
    pub async fn start_with(
        database: &PgConnectOptions,
        connections: usize,
        statements: usize,
    ) -> Option<Self> {
        Self::start_in(database, connections, statements, "transaction").await
    }

    async fn start_in(
        database: &PgConnectOptions,
        connections: usize,
        statements: usize,
        mode: &str,
    ) -> Option<Self> {
        #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
        let setting = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let built = concat!(env!("CARGO_MANIFEST_DIR"), "/target/pgbouncer/pgbouncer");
        let named = setting("PGBOUNCER").map_or_else(|| "pgbouncer".into(), PathBuf::from);
        let mut program = None;
        for one in [named, built.into()] {
            if program.is_none() && fits(&one).await {
                program = Some(one);
            }
        }
        let Some(program) = program else {
            assert!(setting("HUBFERRY_REQUIRE_PGBOUNCER").is_none(), "no PgBouncer 1.21 or newer");
            println!("skipped: no PgBouncer 1.21 or newer on this machine");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a port")
            .port();
        let dir = tempfile::tempdir().expect("a directory");
        let host = match database.get_socket() {
            Some(dir) => dir.display().to_string(),
            None => database.get_host().to_owned(),
        };
        let user = database.get_username();
        let password = password(database).map_or_else(String::new, |password| {
            format!(" password='{}'", password.replace('\'', "''"))
        });
        let settings = format!(
            "[databases]\n* = host={host} port={} user={user}{password}\n\
             [pgbouncer]\npool_mode = {mode}\nmax_prepared_statements = {statements}\n\
             default_pool_size = {connections}\nmax_client_conn = 500\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\nlog_connections = 0\nlog_disconnections = 0\n",
            database.get_port(),
        );
        let file = dir.path().join("pgbouncer.ini");
        std::fs::write(&file, settings).expect("settings");
        // The user that it runs as may not reach ours.
        let copy = dir.path().join("pgbouncer");
        // By another process: a file that this one writes may be held open by a child of the moment,
        // and is then too busy to be run.
        let copied =
            Command::new("cp").arg(&program).arg(&copy).stderr(Stdio::null()).status().await;
        let mut command = match copied {
            Ok(copied) if copied.success() => Command::new(&copy),
            // A bare name on the search path.
            _ => Command::new(&program),
        };
        if rustix::process::geteuid().is_root() {
            // It refuses to be root, and must reach the server's socket.
            let owner = match database.get_socket() {
                Some(dir) => std::fs::metadata(dir).expect("the socket's directory").uid(),
                None => 65_534,
            };
            command.uid(owner);
            let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(dir.path(), everybody).expect("a readable directory");
        }
        command.arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("a pooler");
        let mut lines = BufReader::new(child.stderr.take().expect("a log")).lines();
        let up = async {
            let mut said = Vec::new();
            while let Some(line) = lines.next_line().await.expect("a log") {
                if line.contains("process up") {
                    return;
                }
                said.push(line);
            }
            panic!("the pooler ended: {said:?}");
        };
        tokio::time::timeout(Duration::from_secs(10), up).await.expect("it is up in time");
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Some(Self { database: over(database, port), _child: child, _dir: dir })
    }
}

/// Prepared statements in transaction mode came with 1.21.
async fn fits(program: &std::path::Path) -> bool {
    let Ok(said) = Command::new(program).arg("--version").output().await else { return false };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let version = said.split_whitespace().nth(1).unwrap_or_default();
    let mut numbers = version.split('.').filter_map(|n| n.parse::<u32>().ok());
    (numbers.next(), numbers.next()) >= (Some(1), Some(21))
}
