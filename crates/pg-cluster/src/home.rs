//! A cluster's directory: who it belongs to, and the sweeping of those whose owner is dead.
//!
//! The layout is `hubferry-pg-<pid>-<n>/{owner,data}`. The process holds a lock on `owner` for as
//! long as it lives, which the system releases however it dies; that, and not the process number
//! written in it, tells the living from the dead, for numbers are given out again.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use crate::{account::Account, error::ClusterError, find::Binaries, server, server::Server};

const PREFIX: &str = "hubferry-pg-";

/// A directory that is ours while this value lives.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    /// Only held: closing the file would release the lock.
    _owner: File,
}

impl Home {
    /// Makes a directory whose `data` belongs to the server's account and to nobody else.
    pub(crate) fn create(parent: &Path, account: Option<Account>) -> Result<Self, ClusterError> {
        let dir = fresh(parent)?;
        let made = Self::furnish(&dir, account);
        if made.is_err() {
            let _ = fs::remove_dir_all(&dir);
        }
        made
    }

    fn furnish(dir: &Path, account: Option<Account>) -> Result<Self, ClusterError> {
        let data = dir.join("data");
        server::check_socket_path(&data)?;
        // The umask may have taken the right to traverse, which the server's account needs.
        fs::set_permissions(dir, Permissions::from_mode(0o711))
            .map_err(ClusterError::file("open to the server", dir))?;
        // Locked before it has its name: a sweep never sees an owner that is not locked yet.
        let (draft, named) = (dir.join("owner.new"), dir.join("owner"));
        let owner = locked(&draft).map_err(ClusterError::file("lock", &draft))?;
        fs::rename(&draft, &named).map_err(ClusterError::file("write", &named))?;
        DirBuilder::new()
            .mode(0o700)
            .create(&data)
            .map_err(ClusterError::file("make the directory", &data))?;
        if let Some(Account { uid, gid }) = account {
            chown(&data, Some(uid), Some(gid)).map_err(ClusterError::file("give away", &data))?;
        }
        Ok(Self { dir: dir.to_path_buf(), _owner: owner })
    }

    /// Where the directory is.
    pub(crate) fn parent(&self) -> PathBuf {
        self.dir.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The whole directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The server's part of it.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Removes the directory; what cannot be removed is left for a sweep.
    pub(crate) fn remove(&self) {
        remove(&self.dir);
    }
}

/// Stops the servers and removes the directories that killed processes left under `parent`.
///
/// Only directories of our own user are touched, and none that a living process holds. A failure
/// is logged and is no reason not to start.
pub(crate) fn sweep(parent: &Path, binaries: &Binaries) {
    let me = rustix::process::geteuid();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let dir = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == me.as_raw());
        if !ours {
            continue;
        }
        // Without an owner it is being made right now. The lock also keeps other sweeps away.
        let Ok(owner) = File::open(dir.join("owner")) else { continue };
        if owner.try_lock().is_err() {
            continue;
        }
        let data = dir.join("data");
        let account = fs::symlink_metadata(&data)
            .ok()
            .filter(|meta| me.is_root() && meta.uid() != 0)
            .map(|meta| Account { uid: meta.uid(), gid: meta.gid() });
        let server = Server { binaries: binaries.clone(), account, data };
        if server.is_running()
            && let Err(error) = server.stop()
        {
            tracing::warn!(%error, dir = %dir.display(), "a leftover postgres did not stop");
            continue;
        }
        remove(&dir);
    }
}

/// Makes a directory with a name that no other process uses.
fn fresh(parent: &Path) -> Result<PathBuf, ClusterError> {
    let pid = std::process::id();
    let mut number = 0_u32;
    loop {
        let dir = parent.join(format!("{PREFIX}{pid}-{number}"));
        match DirBuilder::new().mode(0o711).create(&dir) {
            Ok(()) => return Ok(dir),
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1000 => number += 1,
            Err(error) => return Err(ClusterError::file("make the directory", dir)(error)),
        }
    }
}

fn locked(path: &Path) -> std::io::Result<File> {
    let mut file = File::create_new(path)?;
    writeln!(file, "{}", std::process::id())?;
    file.try_lock()?;
    Ok(file)
}

fn remove(dir: &Path) {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(%error, dir = %dir.display(), "could not remove a private postgres");
        }
        _ => {}
    }
}
