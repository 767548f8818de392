//! Who the server runs as: ourselves, unless we are root, which PostgreSQL refuses.

use std::{os::unix::process::CommandExt, process::Command};

use crate::error::ClusterError;

/// A user of the system, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Makes a command run as this user; supplementary groups are dropped with it.
    pub(crate) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }
}

/// The account to drop to: `postgres`, else `nobody`, if we are root; none if we are not.
pub(crate) fn for_server() -> Result<Option<Account>, ClusterError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    // initdb looks its own user up there, so an account known only elsewhere would not do.
    let path = "/etc/passwd";
    let passwd = std::fs::read_to_string(path).map_err(ClusterError::file("read", path))?;
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| in_passwd(&passwd, name))
        .map(Some)
        .ok_or(ClusterError::NoAccount)
}

/// Looks a user up in the text of `/etc/passwd`.
pub(crate) fn in_passwd(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == name).then_some(())?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        (uid != 0).then_some(Account { uid, gid })
    })
}

/// Reads a user's number; macOS writes that of `nobody` as -2.
fn number(field: &str) -> Option<u32> {
    field.parse().ok().or_else(|| field.parse::<i32>().ok().map(i32::cast_unsigned))
}
