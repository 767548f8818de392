//! Runs the server's programs: `initdb`, `pg_ctl start`, `pg_ctl stop`.

use std::{
    ffi::OsString,
    os::unix::{ffi::OsStrExt, net::UnixStream, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use crate::{
    account::Account,
    error::{ClusterError, SOCKET_LIMIT},
    find::Binaries,
};

/// The superuser of every cluster, as which clients log in.
pub(crate) const USER: &str = "app";

/// Part of the socket's name. Nothing listens on this port.
pub(crate) const PORT: u16 = 5432;

/// Environment variables that would make the programs use another cluster or another language.
const FOREIGN: [&str; 11] = [
    "PGDATA",
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSWORD",
    "PGSERVICE",
    "PGOPTIONS",
    "PGCLIENTENCODING",
    "LANGUAGE",
];

/// Waits for the end of its input, which closes when this process ends, and then cleans up.
///
/// `$1` is the server's process, `$2` the directory. QUIT is what `pg_ctl -m immediate` sends. A
/// server that has ended removes its file first, and may remain as a process until its exit code is
/// read.
const GUARD: &str = r#"
trap '' HUP INT TERM
read -r _
kill -QUIT "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ -e "$2/data/postmaster.pid" ] && [ "$tries" -lt 100 ]; do
    sleep 0.1 || sleep 1
    tries=$((tries + 1))
done
rm -rf -- "$2"
"#;

/// One data directory and its server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) binaries: Binaries,
    pub(crate) account: Option<Account>,
    pub(crate) data: PathBuf,
}

impl Server {
    /// Initialises the data directory.
    pub(crate) fn initialise(&self, durable: bool) -> Result<(), ClusterError> {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", USER, "-E", "UTF8", "--locale=C", "--no-instructions"]);
        // The directory is 0700, so only the server's account and root can reach the socket.
        initdb.args(["--auth-local=trust", "--auth-host=reject"]);
        initdb.arg(if durable { "--data-checksums" } else { "--no-sync" });
        initdb.arg("-D").arg(&self.data);
        self.done(initdb, "initdb")
    }

    /// Copies the server at `other` into the data directory. The copy will follow it.
    pub(crate) fn copy(&self, other: &Path, user: &str, port: u16) -> Result<(), ClusterError> {
        let mut copy = self.command("pg_basebackup");
        copy.arg("-h").arg(other).args(["-U", user, "-p", &port.to_string()]);
        copy.args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-D"]).arg(&self.data);
        self.done(copy, "pg_basebackup")?;
        // Belongs to the socket of the other server, which is in its data directory.
        let lock = self.data.join(format!("{}.lock", socket()));
        std::fs::remove_file(&lock).map_err(ClusterError::file("remove", &lock))
    }

    /// Ends the recovery of a standby.
    pub(crate) fn promote(&self) -> Result<(), ClusterError> {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "-w", "-t", "60", "-D"]).arg(&self.data);
        self.done(promote, "pg_ctl")
    }

    /// Runs a program that does not start a server.
    fn done(&self, mut command: Command, program: &str) -> Result<(), ClusterError> {
        let program = self.binaries.dir.join(program);
        let done = command.output().map_err(ClusterError::file("run", &program))?;
        if done.status.success() {
            return Ok(());
        }
        let output = tail(&String::from_utf8_lossy(&done.stderr));
        Err(ClusterError::Program { program, status: done.status, output })
    }

    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(&self, durable: bool) -> Result<(), ClusterError> {
        let log = self.data.join("server.log");
        let mut start = self.command("pg_ctl");
        start.args(["start", "-w", "-t", "60", "-D"]).arg(&self.data).arg("-l").arg(&log);
        start.arg("-o").arg(settings(&self.data, durable));
        let (program, status) = self.run(start)?;
        if status.success() {
            return Ok(());
        }
        let _ = self.stop();
        let output = tail(&std::fs::read_to_string(&log).unwrap_or_default());
        Err(ClusterError::Program { program, status, output })
    }

    /// Stops the server at once, without a clean shutdown, because the data is thrown away.
    pub(crate) fn stop(&self) -> Result<(), ClusterError> {
        let mut stop = self.command("pg_ctl");
        stop.args(["stop", "-w", "-t", "30", "-m", "immediate", "-D"]).arg(&self.data);
        let (program, status) = self.run(stop)?;
        if status.success() {
            return Ok(());
        }
        let output = format!("the server in {} did not stop", self.data.display());
        Err(ClusterError::Program { program, status, output })
    }

    /// Whether a server answers at the socket.
    ///
    /// Check this before stopping a server that was not just started. After a crash or a power
    /// failure the file with its process number remains. `pg_ctl stop` relies on that file alone,
    /// and the number may now belong to another server.
    pub(crate) fn is_running(&self) -> bool {
        UnixStream::connect(self.data.join(socket())).is_ok()
    }

    /// Starts the shell that cleans up if this process ends without doing so itself.
    ///
    /// The shell has the reading end of a pipe. Only the [`Child`] has the writing end.
    pub(crate) fn guard(&self, dir: &Path) -> Result<Child, ClusterError> {
        let file = self.data.join("postmaster.pid");
        let text = std::fs::read_to_string(&file).map_err(ClusterError::file("read", &file))?;
        let pid: u32 = text.lines().next().and_then(|line| line.trim().parse().ok()).unwrap_or(0);
        if pid <= 1 {
            let source = std::io::Error::other("it holds no process number");
            return Err(ClusterError::File { doing: "read", path: file, source });
        }
        Command::new("/bin/sh")
            .args(["-c", GUARD, "hubferry-pg-guard", &pid.to_string()])
            .arg(dir)
            .current_dir("/")
            // A Ctrl-C at the terminal is meant for this process, not for the guard.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(ClusterError::file("run", "/bin/sh"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.binaries.dir.join(program));
        for name in FOREIGN {
            command.env_remove(name);
        }
        // The current directory may be one that the server's account cannot enter.
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    /// Runs `pg_ctl`. The server inherits its outputs, so a pipe would stay open as long as the
    /// server runs.
    fn run(&self, mut pg_ctl: Command) -> Result<(PathBuf, ExitStatus), ClusterError> {
        let program = self.binaries.dir.join("pg_ctl");
        let status = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.map_err(ClusterError::file("run", &program))?;
        Ok((program, status))
    }
}

/// Refuses a directory in which the path of the socket would be too long.
pub(crate) fn check_socket_path(data: &Path) -> Result<(), ClusterError> {
    let length = data.join(socket()).as_os_str().len();
    if length > SOCKET_LIMIT {
        return Err(ClusterError::SocketPath { dir: data.to_path_buf(), length });
    }
    Ok(())
}

/// Returns the socket's name, which the server derives from its port.
fn socket() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// Returns the server's settings as shell words for `pg_ctl -o`.
fn settings(data: &Path, durable: bool) -> OsString {
    let mut words = OsString::from(format!("-p {PORT} -c listen_addresses='' "));
    words.push("-c max_connections=200 -c timezone=UTC -c log_checkpoints=off ");
    if !durable {
        words.push("-c fsync=off -c synchronous_commit=off -c full_page_writes=off ");
    }
    words.push("-c unix_socket_directories=");
    words.push(quoted(data));
    words
}

/// Quotes a path as one shell word.
pub(crate) fn quoted(path: &Path) -> OsString {
    let text = path.as_os_str();
    if !text.as_bytes().contains(&b'\'') {
        let mut word = OsString::from("'");
        word.push(text);
        word.push("'");
        return word;
    }
    OsString::from(format!("'{}'", text.to_string_lossy().replace('\'', r"'\''")))
}

/// Returns the last lines of a log on one line.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
