//! The user that the server runs as: the current one, unless that is root, which PostgreSQL
//! refuses.

use std::{os::unix::process::CommandExt, process::Command};

use crate::error::ClusterError;

/// A user of the system, by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Makes a command run as this user, without supplementary groups.
    pub(crate) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// Returns the account to switch to if we are root: `postgres`, or else `nobody`. Returns none
/// otherwise.
pub(crate) fn for_server() -> Result<Option<Account>, ClusterError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    // initdb looks up its user in this file, so an account defined elsewhere would not work.
    let path = "/etc/passwd";
    let passwd = std::fs::read_to_string(path).map_err(ClusterError::file("read", path))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| in_passwd(&passwd, name))
        .map(Some)
        .ok_or(ClusterError::NoAccount)
}

/// Finds a user in the text of `/etc/passwd`.
pub(crate) fn in_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        (uid != 0).then_some(Account { uid, gid })
    })
}

/// Parses a user's number. macOS writes -2 for `nobody`.
fn number(field: &str) -> Option<u32> {
    field.parse().ok().or_else(|| field.parse::<i32>().ok().map(i32::cast_unsigned))
}
