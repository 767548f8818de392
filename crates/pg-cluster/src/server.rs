//! The server's own programs: `initdb`, `pg_ctl start`, `pg_ctl stop`.

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

/// The superuser of every cluster, and the one that logs in.
pub(crate) const USER: &str = "app";

/// Names the socket; nothing listens on it as a port.
pub(crate) const PORT: u16 = 5432;

/// What would make the programs look at another cluster, or speak otherwise.
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

/// Waits for the end of its input, which comes with our own end, and then clears up.
///
/// `$1` is the server's process, `$2` the directory. QUIT is what `pg_ctl -m immediate` sends.
/// A server that has ended removes its file first, and may stay a process for as long as nobody
/// asks for its exit code.
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

/// One data directory, and what serves it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) binaries: Binaries,
    pub(crate) account: Option<Account>,
    pub(crate) data: PathBuf,
}

impl Server {
    /// Fills the data directory.
    pub(crate) fn initialise(&self, durable: bool) -> Result<(), ClusterError> {
        let mut initdb = self.command("initdb");
        initdb.args(["-U", USER, "-E", "UTF8", "--locale=C", "--no-instructions"]);
        // The directory is 0700, so only the server's account and root reach the socket.
        initdb.args(["--auth-local=trust", "--auth-host=reject"]);
        initdb.arg(if durable { "--data-checksums" } else { "--no-sync" });
        initdb.arg("-D").arg(&self.data);
        self.done(initdb, "initdb")
    }

    /// Fills the data directory with a copy of the server at `other`, which will follow it.
    pub(crate) fn copy(&self, other: &Path, user: &str, port: u16) -> Result<(), ClusterError> {
        let mut copy = self.command("pg_basebackup");
        copy.arg("-h").arg(other).args(["-U", user, "-p", &port.to_string()]);
        copy.args(["-R", "-X", "stream", "--checkpoint=fast", "--no-sync", "-D"]).arg(&self.data);
        self.done(copy, "pg_basebackup")?;
        // Of the other server's socket, which lies in its data.
        let lock = self.data.join(format!("{}.lock", socket()));
        std::fs::remove_file(&lock).map_err(ClusterError::file("remove", &lock))
    }

    /// Ends the recovery of a standby.
    pub(crate) fn promote(&self) -> Result<(), ClusterError> {
        let mut promote = self.command("pg_ctl");
        promote.args(["promote", "-w", "-t", "60", "-D"]).arg(&self.data);
        self.done(promote, "pg_ctl")
    }

    /// Runs a program that starts no server.
    fn done(&self, mut command: Command, program: &str) -> Result<(), ClusterError> {
        let program = self.binaries.dir.join(program);
        let done = command.output().map_err(ClusterError::file("run", &program))?;
        if done.status.success() {
            return Ok(());
        }
        let output = tail(&String::from_utf8_lossy(&done.stderr));
        Err(ClusterError::Program { program, status: done.status, output })
    }

    /// Starts the server and waits until it takes connections.
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

    /// Stops the server at once, without tidying data that is thrown away anyway.
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
    /// Ask before stopping one that was not started a moment ago: after a crash or a power cut
    /// the file with its process number stays, `pg_ctl stop` goes by nothing else, and the number
    /// may by now be another server's.
    pub(crate) fn is_running(&self) -> bool {
        UnixStream::connect(self.data.join(socket())).is_ok()
    }

    /// Starts the shell that clears up when this process ends without doing so itself.
    ///
    /// It holds the reading end of a pipe whose writing end is in the [`Child`] only.
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
            // A Ctrl-C at the terminal is for us, not for the guard.
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
        // Ours may be a directory that the server's account cannot enter.
        command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        if let Some(account) = self.account {
            account.apply(&mut command);
        }
        command
    }

    /// Runs `pg_ctl`. Its server inherits the outputs: a pipe would stay open as long as it runs.
    fn run(&self, mut pg_ctl: Command) -> Result<(PathBuf, ExitStatus), ClusterError> {
        let program = self.binaries.dir.join("pg_ctl");
        let status = pg_ctl.stdout(Stdio::null()).stderr(Stdio::null()).status();
        let status = status.map_err(ClusterError::file("run", &program))?;
        Ok((program, status))
    }
}

/// Refuses a directory in which the socket's path would be too long.
pub(crate) fn check_socket_path(data: &Path) -> Result<(), ClusterError> {
    let length = data.join(socket()).as_os_str().len();
    if length > SOCKET_LIMIT {
        return Err(ClusterError::SocketPath { dir: data.to_path_buf(), length });
    }
    Ok(())
}

/// The socket's name, which the server makes from its port.
fn socket() -> String {
    format!(".s.PGSQL.{PORT}")
}

/// The server's settings as `pg_ctl -o` takes them: words for a shell.
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

/// A path as one word for a shell.
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

/// The last lines of a log, on one line.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join("; ")
}
