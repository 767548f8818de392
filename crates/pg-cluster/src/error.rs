//! Errors of a private cluster, and what to do about them.

use std::{io, path::PathBuf, process::ExitStatus};

/// The longest path of a unix socket, in bytes: `sun_path` without its closing zero.
pub(crate) const SOCKET_LIMIT: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// Why the cluster failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// The server programs are not installed.
    #[error(
        "found no PostgreSQL server (initdb, pg_ctl and postgres, version 14 or newer): \
         install it with `{install}`, or name the directory of its programs in PG_BIN_DIR"
    )]
    NotInstalled {
        /// The command that installs them on this operating system.
        install: String,
    },
    /// All installed server programs are too old.
    #[error(
        "the PostgreSQL server in {} is version {major}, and 14 is the oldest that will do: \
         install a newer one (`{install}`), or name the directory of its programs in PG_BIN_DIR",
        dir.display()
    )]
    TooOld {
        /// The newest version found.
        major: u32,
        /// The directory that contains it.
        dir: PathBuf,
        /// The command that installs them on this operating system.
        install: String,
    },
    /// `PG_BIN_DIR` names a directory without working server programs.
    #[error("PG_BIN_DIR is {}, which has no working initdb, pg_ctl and postgres", dir.display())]
    BinDir {
        /// The directory named.
        dir: PathBuf,
    },
    /// PostgreSQL does not run as root, and there is no other user.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`: \
         run as another user"
    )]
    NoAccount,
    /// The socket's path is longer than the system allows.
    #[error(
        "a socket in {} would have a path of {length} bytes, and {} is the limit: \
         choose a shorter directory",
        dir.display(), SOCKET_LIMIT
    )]
    SocketPath {
        /// The directory of the socket.
        dir: PathBuf,
        /// The length of its path.
        length: usize,
    },
    /// The file system returned an error.
    #[error("could not {doing} {}", path.display())]
    File {
        /// What was tried, as a verb.
        doing: &'static str,
        /// The path that it was tried on.
        path: PathBuf,
        /// The error of the system.
        #[source]
        source: io::Error,
    },
    /// One of the server's programs failed.
    #[error("{} failed ({status}): {output}", program.display())]
    Program {
        /// The program.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// A database name is too long or has characters other than `a-z`, `0-9` and `_`.
    #[error("`{name}` is no database name: 1 to 63 of a-z, 0-9 and _")]
    DatabaseName {
        /// The requested name.
        name: String,
    },
    /// The server refused a connection or a statement.
    #[error("the private postgres refused")]
    Database(#[from] sqlx::Error),
}

impl ClusterError {
    /// Turns an I/O error into [`ClusterError::File`].
    pub(crate) fn file(
        doing: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

/// Returns the command that installs a server on this system.
pub(crate) fn install_command() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    install_command_for(std::env::consts::OS, &release, rustix::process::geteuid().is_root())
}

/// Returns the command for a system, given its `uname` and the text of its `/etc/os-release`.
pub(crate) fn install_command_for(system: &str, os_release: &str, root: bool) -> String {
    if system == "macos" {
        return "brew install postgresql@17".to_owned();
    }
    let known = |name: &str| {
        os_release
            .lines()
            .filter_map(|line| line.strip_prefix("ID=").or_else(|| line.strip_prefix("ID_LIKE=")))
            .flat_map(|value| value.trim_matches(['"', '\'']).split_whitespace())
            .any(|word| word == name)
    };
    let sudo = if root { "" } else { "sudo " };
    if ["debian", "ubuntu"].into_iter().any(known) {
        format!("{sudo}apt-get update && {sudo}apt-get install -y postgresql")
    } else if ["fedora", "rhel", "centos", "amzn"].into_iter().any(known) {
        format!("{sudo}dnf install -y postgresql-server")
    } else if known("alpine") {
        format!("{sudo}apk add postgresql")
    } else if known("arch") {
        format!("{sudo}pacman -S --noconfirm postgresql")
    } else if ["suse", "opensuse"].into_iter().any(known) {
        format!("{sudo}zypper install -y postgresql-server")
    } else {
        "the system's package manager (the package is mostly called postgresql)".to_owned()
    }
}
