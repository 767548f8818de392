//! A cluster's directory: its owner, and the removal of directories whose owner has died.
//!
//! The layout is `hubferry-pg-<pid>-<n>/{owner,data}`. The process holds a lock on `owner` while it
//! lives, and the system releases the lock however the process ends. Only the lock tells whether
//! the owner lives. The process number in the file does not, because the system reuses numbers.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use crate::{account::Account, error::ClusterError, find::Binaries, server, server::Server};

const PREFIX: &str = "hubferry-pg-";

/// A directory that this process owns while the value lives.
#[derive(Debug)]
pub(crate) struct Home {
    dir: PathBuf,
    /// Only kept open: closing the file would release the lock.
    _owner: File,
}

impl Home {
    /// Creates a directory whose `data` only the server's account can access.
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
        // The umask may have removed the right to traverse, which the server's account needs.
        fs::set_permissions(dir, Permissions::from_mode(0o711))
            .map_err(ClusterError::file("open to the server", dir))?;
        // Locked before it gets its name, so that a sweep never sees an owner file without a lock.
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

    /// Returns where the directory is.
    pub(crate) fn parent(&self) -> PathBuf {
        self.dir.parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// Returns the whole directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the server's part of the directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Removes the directory. What cannot be removed is left for a sweep.
    pub(crate) fn remove(&self) {
        remove(&self.dir);
    }
}

/// Stops the servers and removes the directories that killed processes left under `parent`.
///
/// It only touches directories of the current user that no living process has locked. A failure is
/// logged and does not prevent the start.
pub(crate) fn sweep(parent: &Path, binaries: &Binaries) {
    let me = rustix::process::geteuid();
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let dir = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|meta| meta.is_dir() && meta.uid() == me.as_raw());
        if !ours {
            continue;
        }
        // A directory without an owner file is just being created. The lock also keeps other sweeps
        // away.
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

/// Creates a directory with a name that no other process uses.
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
