//! The private Postgres cluster, through its public interface.

use std::{fs::Permissions, os::unix::fs::PermissionsExt, path::Path, path::PathBuf};

use pg_cluster::{Cluster, ClusterError, Options};
use sqlx::{ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

/// A place of the test's own, to see that nothing stays in it.
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

async fn text(options: PgConnectOptions, query: &'static str) -> String {
    let mut connection: PgConnection = options.connect().await.unwrap();
    let value = sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    value
}

#[tokio::test]
async fn a_cluster_starts_answers_and_leaves_nothing_behind() {
    let place = place();
    let cluster = Cluster::temporary(options(place.path())).unwrap();
    assert_eq!(text(cluster.connect_options(), "SELECT current_user || ''").await, "app");
    assert_eq!(text(cluster.connect_options(), "SHOW server_encoding").await, "UTF8");
    assert_eq!(text(cluster.connect_options(), "SHOW listen_addresses").await, "");
    assert_eq!(text(cluster.connect_options(), "SHOW fsync").await, "off");
    cluster.stop().unwrap();
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_durable_cluster_syncs_and_is_gone_once_dropped() {
    let place = place();
    let durable = Options { durable: true, ..options(place.path()) };
    let cluster = Cluster::temporary(durable).unwrap();
    assert_eq!(text(cluster.connect_options(), "SHOW fsync").await, "on");
    assert_eq!(text(cluster.connect_options(), "SHOW data_checksums").await, "on");
    drop(cluster);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn databases_are_made_by_name_and_no_name_is_a_statement() {
    let place = place();
    let cluster = Cluster::temporary(options(place.path())).unwrap();
    let made = cluster.create_database("demo_1").await.unwrap();
    assert_eq!(text(made, "SELECT current_database()::text").await, "demo_1");
    for name in ["", "Demo", "a\"; DROP DATABASE demo_1; --", &"a".repeat(64)] {
        let refused = cluster.create_database(name).await.unwrap_err();
        assert!(matches!(refused, ClusterError::DatabaseName { .. }), "{name}");
    }
    let again = cluster.create_database("demo_1").await.unwrap_err();
    assert!(matches!(again, ClusterError::Database(_)));
}

#[test]
fn missing_programs_are_named_with_what_to_do() {
    let place = place();
    let empty = Options { bin_dir: Some(place.path().to_path_buf()), ..options(place.path()) };
    let error = Cluster::temporary(empty).unwrap_err().to_string();
    assert!(error.starts_with("PG_BIN_DIR is "), "{error}");
}
