//! Tests how a cluster ends, and the parts that differ between systems.

use std::{
    ffi::OsStr,
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::{
    Cluster, ClusterError, Options,
    account::{Account, in_passwd},
    error::install_command_for,
    find::{Binaries, expand, major_of, search},
    server::quoted,
};

/// A directory of its own for each test, so that a sweep finds no clusters of other tests.
fn place() -> tempfile::TempDir {
    tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration to take it from")]
fn options(parent: &Path) -> Options {
    Options {
        bin_dir: std::env::var_os("PG_BIN_DIR").map(PathBuf::from),
        path: std::env::var_os("PATH"),
        parent: Some(parent.to_path_buf()),
        ..Options::default()
    }
}

#[test]
fn what_a_killed_process_left_is_stopped_and_removed() {
    let place = place();
    let mut left = Cluster::temporary(options(place.path())).unwrap();
    // Simulates kill -9 of this process and of the guard: nobody stops the server, and the lock is
    // released.
    left.guard.kill().unwrap();
    left.guard.wait().unwrap();
    left.running = false;
    assert!(left.server.is_running());
    let dir = left.home.dir().to_path_buf();
    let socket = left.server.data.join(".s.PGSQL.5432");
    drop(left);
    assert!(socket.exists());

    let next = Cluster::temporary(options(place.path())).unwrap();
    assert!(!dir.exists() || next.home.dir() == dir);
    assert!(next.server.is_running());
    next.stop().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_server_that_died_meanwhile_is_cleared_up_without_a_signal_to_its_number() {
    let place = place();
    let cluster = Cluster::temporary(options(place.path())).unwrap();
    let file = cluster.server.data.join("postmaster.pid");
    let text = std::fs::read_to_string(&file).unwrap();
    cluster.server.stop().unwrap();
    // The file as a crash leaves it, with the number of another process: this one.
    let rest = text.split_once('\n').unwrap().1;
    std::fs::write(&file, format!("{}\n{rest}", std::process::id())).unwrap();
    cluster.stop().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[test]
fn a_sweep_leaves_the_living_alone() {
    let place = place();
    let one = Cluster::temporary(options(place.path())).unwrap();
    let two = Cluster::temporary(options(place.path())).unwrap();
    assert_ne!(one.home.dir(), two.home.dir());
    assert!(one.server.is_running() && two.server.is_running());
    drop(two);
    assert!(one.server.is_running());
}

#[test]
fn the_guard_clears_up_after_a_process_that_ends_without_a_word() {
    let place = place();
    let mut cluster = Cluster::temporary(options(place.path())).unwrap();
    let dir = cluster.home.dir().to_path_buf();
    // The system closes this end of the pipe when the process ends.
    drop(cluster.guard.stdin.take());
    cluster.guard.wait().unwrap();
    assert!(!cluster.server.is_running());
    assert!(!dir.exists());
    cluster.running = false;
}

#[test]
fn a_socket_path_too_long_is_refused_before_anything_is_made() {
    let place = place();
    let deep = place.path().join("d".repeat(90));
    std::fs::create_dir(&deep).unwrap();
    let refused = Cluster::temporary(options(&deep)).unwrap_err();
    assert!(matches!(refused, ClusterError::SocketPath { length: 108.., .. }), "{refused}");
    assert_eq!(std::fs::read_dir(&deep).unwrap().count(), 0);
}

#[test]
fn programs_are_searched_as_named_then_on_the_path_then_in_the_usual_places() {
    let places = [PathBuf::from("/a"), PathBuf::from("/b")];
    let major_in = |dir: &Path| match dir.to_str()? {
        "/a" => Some(17),
        "/b" => Some(18),
        "/p" => Some(16),
        "/old" => Some(13),
        _ => None,
    };
    let find = |named: Option<&str>, path: &str| {
        search(named.map(Path::new), Some(OsStr::new(path)), &places, &major_in)
    };
    let at = |dir: &str, major| Binaries { dir: dir.into(), major };
    assert_eq!(find(Some("/b"), "/p").unwrap(), at("/b", 18));
    assert_eq!(find(None, "/none:/p").unwrap(), at("/p", 16));
    assert_eq!(find(None, "/old:/none").unwrap(), at("/a", 17));
    assert!(matches!(find(Some("/none"), "/p"), Err(ClusterError::BinDir { .. })));
    assert!(matches!(find(Some("/old"), "/p"), Err(ClusterError::TooOld { major: 13, .. })));
    let nowhere = search(None, None, &[], &major_in).unwrap_err();
    assert!(matches!(nowhere, ClusterError::NotInstalled { .. }));
    let old = search(None, Some(OsStr::new("/old")), &[], &major_in).unwrap_err();
    assert!(matches!(old, ClusterError::TooOld { major: 13, .. }));
}

#[test]
fn a_pattern_finds_every_directory_it_stands_for() {
    let place = place();
    for name in ["pgsql-9.6/bin", "pgsql-17/bin", "other/bin"] {
        std::fs::create_dir_all(place.path().join(name)).unwrap();
    }
    let mut found = expand(&place.path().join("pgsql-*/bin"));
    found.sort();
    assert_eq!(found, ["pgsql-17/bin", "pgsql-9.6/bin"].map(|name| place.path().join(name)));
}

#[test]
fn versions_are_read_from_what_the_server_says() {
    assert_eq!(major_of("postgres (PostgreSQL) 15.19 (Debian 15.19-0+deb12u1)\n"), Some(15));
    assert_eq!(major_of("postgres (PostgreSQL) 19beta1\n"), Some(19));
    assert_eq!(major_of("postgres (PostgreSQL) 9.6.24\n"), Some(9));
    assert_eq!(major_of("no such thing"), None);
}

#[test]
fn accounts_are_read_from_passwd() {
    let passwd =
        "root:x:0:0::/root:/bin/sh\nnobody:*:-2:-2::/:/bin/false\npostgres:x:101:104::/:\n";
    assert_eq!(in_passwd(passwd, "postgres"), Some(Account { uid: 101, gid: 104 }));
    assert_eq!(in_passwd(passwd, "nobody"), Some(Account { uid: 4294967294, gid: 4294967294 }));
    assert_eq!(in_passwd(passwd, "root"), None);
}

#[test]
fn the_install_command_is_that_of_the_system() {
    let linux = |os_release| install_command_for("linux", os_release, false);
    assert_eq!(
        linux("ID=ubuntu\nID_LIKE=debian\n"),
        "sudo apt-get update && sudo apt-get install -y postgresql"
    );
    assert_eq!(
        linux("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
        "sudo dnf install -y postgresql-server"
    );
    assert_eq!(install_command_for("linux", "ID=alpine\n", true), "apk add postgresql");
    assert_eq!(install_command_for("macos", "", false), "brew install postgresql@17");
    assert!(linux("").contains("package manager"));
}

#[test]
fn a_path_is_one_word_for_the_shell() {
    assert_eq!(quoted(Path::new("/a b")), "'/a b'");
    assert_eq!(quoted(Path::new("/it's")), r"'/it'\''s'");
}
