//! A cluster from its start to its end.

use std::{ffi::OsString, path::PathBuf, process::Child};

use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection,
    postgres::{PgConnectOptions, PgSslMode},
};

use crate::{
    account,
    error::ClusterError,
    find, home,
    home::Home,
    server::{self, Server, USER},
};

/// The options of a cluster. The defaults are right for tests.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Whether a commit survives a power failure (`fsync`). Without it, everything is about twice
    /// as fast, and a crash of the server alone still loses nothing.
    pub durable: bool,
    /// The directory of the server's programs (`PG_BIN_DIR`). If it is set, no other is tried.
    pub bin_dir: Option<PathBuf>,
    /// The search path (`PATH`), tried before the usual places.
    pub path: Option<OsString>,
    /// Where the cluster's directory is created; `/var/tmp` by default. As root, every user must be
    /// able to traverse it, because the server then runs as another user.
    pub parent: Option<PathBuf>,
}

/// A running cluster. It ends when this value is dropped.
#[derive(Debug)]
pub struct Cluster {
    pub(crate) server: Server,
    pub(crate) home: Home,
    pub(crate) guard: Child,
    pub(crate) durable: bool,
    pub(crate) running: bool,
}

impl Cluster {
    /// Removes what killed processes left behind, then creates and starts a cluster in about 0.6 s.
    ///
    /// This function blocks: from async code, call it in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// When the programs are missing or too old, or one of them fails; see [`ClusterError`].
    pub fn temporary(options: Options) -> Result<Self, ClusterError> {
        let binaries = find::binaries(options.bin_dir.as_deref(), options.path.as_deref())?;
        let account = account::for_server()?;
        let parent = options.parent.unwrap_or_else(|| PathBuf::from("/var/tmp"));
        home::sweep(&parent, &binaries);
        let home = Home::create(&parent, account)?;
        let server = Server { binaries, account, data: home.data() };
        match start(&server, &home, options.durable) {
            Ok(guard) => Ok(Self { server, home, guard, durable: options.durable, running: true }),
            Err(error) => {
                home.remove();
                Err(error)
            }
        }
    }

    /// Returns how to connect to the cluster's `postgres` database. For another one, add
    /// `.database(name)`.
    #[must_use]
    pub fn connect_options(&self) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.server.data)
            .port(server::PORT)
            .username(USER)
            .database("postgres")
            .ssl_mode(PgSslMode::Disable)
    }

    /// Creates an empty database and returns how to connect to it.
    ///
    /// # Errors
    ///
    /// [`ClusterError::DatabaseName`] unless the name is 1 to 63 of `a-z`, `0-9` and `_`, and
    /// [`ClusterError::Database`] if Postgres refuses.
    pub async fn create_database(&self, name: &str) -> Result<PgConnectOptions, ClusterError> {
        let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
        if name.is_empty() || name.len() > 63 || !name.bytes().all(allowed) {
            return Err(ClusterError::DatabaseName { name: name.to_owned() });
        }
        let mut connection = self.connect_options().connect().await?;
        // The name was checked above. It cannot be a parameter of the statement.
        sqlx::query(AssertSqlSafe(format!(r#"CREATE DATABASE "{name}""#)))
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(self.connect_options().database(name))
    }

    /// Stops the server and removes its directory. Dropping does the same, but reports no errors.
    ///
    /// # Errors
    ///
    /// When the server does not stop. Its directory is then left for the next sweep.
    pub fn stop(mut self) -> Result<(), ClusterError> {
        self.end()
    }

    /// Stops the server at once, as a crash would, and starts it again, which recovers it.
    ///
    /// # Errors
    ///
    /// When the server does not start again.
    pub fn crash(&mut self) -> Result<(), ClusterError> {
        // The guard watches the old server's process.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        self.server.stop()?;
        self.server.start(self.durable)?;
        self.guard = self.server.guard(self.home.dir())?;
        Ok(())
    }

    fn end(&mut self) -> Result<(), ClusterError> {
        if !std::mem::take(&mut self.running) {
            return Ok(());
        }
        // The guard ends first. Otherwise the server's process number could already belong to
        // another process.
        let _ = self.guard.kill();
        let _ = self.guard.wait();
        // The server may have been killed or have stopped by itself.
        if self.server.is_running() {
            self.server.stop()?;
        }
        self.home.remove();
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(%error, "the private postgres did not stop");
        }
    }
}

fn start(server: &Server, home: &Home, durable: bool) -> Result<Child, ClusterError> {
    server.initialise(durable)?;
    start_with(server, home, durable)
}

/// Starts a server with an existing data directory.
pub(crate) fn start_with(
    server: &Server,
    home: &Home,
    durable: bool,
) -> Result<Child, ClusterError> {
    server.start(durable)?;
    server.guard(home.dir()).inspect_err(|_| {
        let _ = server.stop();
    })
}
