//! Finds the server's programs. Their place differs between systems, and most do not put them on
//! the search path.

use std::{
    cmp::Reverse,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::error::{self, ClusterError};

/// The oldest version that supports the queue's statements.
const OLDEST: u32 = 14;

/// Directories with one installation each. `*` stands for a whole name or a part of one.
const PLACES: [&str; 9] = [
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/libexec/postgresql*",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "/usr/local/pgsql/bin",
    "/usr/bin",
];

/// The programs of one installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    pub(crate) dir: PathBuf,
    pub(crate) major: u32,
}

/// Finds the programs: only in the directory named, if there is one; else on the search path; else
/// the newest in the first of [`PLACES`] that has any.
pub(crate) fn binaries(
    named: Option<&Path>,
    path: Option<&OsStr>,
) -> Result<Binaries, ClusterError> {
    let places = PLACES.map(PathBuf::from);
    search(named, path, &places, &major_in)
}

/// Does the same as [`binaries`], with the places and the way to ask for a version as arguments.
pub(crate) fn search(
    named: Option<&Path>,
    path: Option<&OsStr>,
    places: &[PathBuf],
    major_in: &dyn Fn(&Path) -> Option<u32>,
) -> Result<Binaries, ClusterError> {
    let install = error::install_command;
    let mut old: Option<Binaries> = None;
    let mut newest = |dirs: Vec<PathBuf>| {
        let mut found: Vec<Binaries> = dirs
            .into_iter()
            .filter_map(|dir| major_in(&dir).map(|major| Binaries { dir, major }))
            .collect();
        found.sort_by_key(|binaries| Reverse(binaries.major));
        let best = found.into_iter().next()?;
        if best.major >= OLDEST {
            return Some(best);
        }
        old.get_or_insert(best);
        None
    };
    let found = if let Some(dir) = named {
        let dir = dir.to_path_buf();
        match newest(vec![dir.clone()]) {
            None if old.is_none() => return Err(ClusterError::BinDir { dir }),
            found => found,
        }
    } else {
        let on_path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
        on_path
            .unwrap_or_default()
            .iter()
            .filter(|dir| dir.is_absolute())
            .find_map(|dir| newest(vec![behind_links(dir)]))
            .or_else(|| places.iter().find_map(|place| newest(expand(place))))
    };
    found.ok_or_else(|| match old {
        Some(Binaries { dir, major }) => ClusterError::TooOld { major, dir, install: install() },
        None => ClusterError::NotInstalled { install: install() },
    })
}

/// Returns the directory that `initdb` on the search path links to, or the directory itself.
fn behind_links(dir: &Path) -> PathBuf {
    let real = std::fs::canonicalize(dir.join("initdb")).ok();
    real.and_then(|file| file.parent().map(Path::to_path_buf))
        .filter(|real| complete(real))
        .unwrap_or_else(|| dir.to_path_buf())
}

fn complete(dir: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| dir.join(program).is_file())
}

/// Returns the major version of the server in a directory, if all three programs exist and run.
fn major_in(dir: &Path) -> Option<u32> {
    if !complete(dir) {
        return None;
    }
    let asked = Command::new(dir.join("postgres"))
        .arg("--version")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    major_of(&String::from_utf8_lossy(&asked.ok()?.stdout))
}

/// Reads the major version from a line like `postgres (PostgreSQL) 15.19 (Debian 15.19-0+deb12u1)`.
pub(crate) fn major_of(version: &str) -> Option<u32> {
    let number = version.split_once("(PostgreSQL) ")?.1;
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..digits].parse().ok()
}

/// Returns every directory that matches a pattern with at most one `*` in one name.
pub(crate) fn expand(pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for part in pattern.components() {
        let name = part.as_os_str();
        match name.to_str().and_then(|name| name.split_once('*')) {
            None => found.iter_mut().for_each(|dir| dir.push(name)),
            Some((start, end)) => {
                found = found.iter().flat_map(|dir| children(dir, start, end)).collect();
            }
        }
    }
    found
}

fn children(dir: &Path, start: &str, end: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.len() >= start.len() + end.len() && name.starts_with(start) && name.ends_with(end)
        })
        .map(|entry| entry.path())
        .collect()
}
