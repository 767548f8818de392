//! A database that is not as one thinks: settings of the role, another encoding, sequences that are
//! behind, nobody who lets us in, a role that may only read and write rows.

use std::os::unix::ffi::OsStringExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::reliability::chaos::trial::{Application, Trial};
use crate::support::binary::{Server, database_url, hubferry};
use crate::support::gulf::Gulf;
use crate::support::{ADMIN_KEY, INGEST_KEY, World, database, event};

/// Runs statements as the owner of `database`.
async fn run(database: &PgConnectOptions, statements: &str) {
    let mut db = database.connect().await.expect("the database");
    let statements = AssertSqlSafe(statements.to_owned());
    sqlx::raw_sql(statements).execute(&mut db).await.expect("they run");
}

/// A role of this test's own, which is one of the cluster's.
async fn role(database: &PgConnectOptions, rights: &str) -> (String, PgConnectOptions) {
    let name = format!("role_{}", uuid::Uuid::new_v4().simple());
    run(database, &format!("CREATE ROLE {name} LOGIN PASSWORD 'secret' {rights}")).await;
    let options = database.clone().username(&name).password("secret");
    (name, options)
}

struct Said {
    code: Option<i32>,
    all: String,
}

async fn says(command: &str, database: &PgConnectOptions, more: &[(&str, &str)]) -> Said {
    let output = hubferry(&[command])
        .env("DATABASE_URL", database_url(database))
        .env("HUBFERRY_INGEST_KEY", INGEST_KEY)
        .env("HUBFERRY_ADMIN_KEY", ADMIN_KEY)
        .env("HUBFERRY_LISTEN", "127.0.0.1:0")
        .env("HUBSPOT_API_KEY", "sandbox-token")
        .env("HUBSPOT_API_URL", "http://127.0.0.1:9")
        .envs(more.iter().copied())
        .output()
        .await
        .expect("it runs");
    let all = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Said { code: output.status.code(), all }
}

/// Posts an event of a new subject.
async fn post(server: &Server, id: &str) -> u16 {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let data = json!({ "email": format!("{id}@example.com"), "first_name": "Zoë" });
    let body = event(id, "user.created", id, "2026-01-01T10:00:00Z", data);
    let request = http.post(format!("{}/v1/events", server.url)).bearer_auth(INGEST_KEY);
    request.json(&body).send().await.expect("an answer").status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_of_the_role_do_not_reach_our_sessions() {
    let trial = Trial::new(database().await).await;
    let (name, theirs) = role(&trial.database, "SUPERUSER").await;
    run(&trial.database, "CREATE SCHEMA elsewhere").await;
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "default_transaction_read_only = on",
        "statement_timeout = '3ms'",
        "lock_timeout = '1ms'",
        "idle_session_timeout = '50ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "search_path = elsewhere",
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'German'",
        "client_encoding = 'LATIN1'",
    ] {
        run(&trial.database, &format!("ALTER ROLE {name} SET {setting}")).await;
    }
    let server = trial.server_at(&theirs, &[]).await;
    let application = Application::start(1, vec![server.url.clone()]);
    application.sends(20).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    assert!(!server.log().contains("a step failed"), "{}", server.log());
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn a_schema_of_ones_own_holds_the_tables() {
    let database = database().await;
    let set = [("HUBFERRY__DATABASE__SCHEMA", "crm")];
    let said = says("migrate", &database, &set).await;
    assert!(said.code == Some(1) && said.all.contains("CREATE SCHEMA crm"), "{}", said.all);
    run(&database, "CREATE SCHEMA crm").await;
    let said = says("migrate", &database, &set).await;
    assert_eq!(said.code, Some(0), "{}", said.all);
    let mut db = database.connect().await.unwrap();
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT schemaname::text FROM pg_tables WHERE tablename = '_sqlx_migrations'",
    )
    .fetch_all(&mut db)
    .await
    .unwrap();
    assert_eq!(tables, ["crm"]);
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_named_at_the_start() {
    let there = database().await;
    let name = format!("latin_{}", uuid::Uuid::new_v4().simple());
    let make = format!(
        "CREATE DATABASE {name} ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    );
    run(&there, &make).await;
    let latin = there.database(&name);
    for command in ["serve", "doctor"] {
        let said = says(command, &latin, &[]).await;
        assert_eq!(said.code, Some(1), "{command}: {}", said.all);
        assert!(said.all.contains("LATIN1") && said.all.contains("UTF8"), "{}", said.all);
    }
}

#[tokio::test]
async fn sequences_behind_their_tables_are_named_with_what_sets_them_right() {
    let world = World::new().await;
    let data = json!({ "email": "ann@example.com" });
    for id in ["e1", "e2", "e3"] {
        world.accept(&event(id, "user.created", id, "2026-01-01T10:00:00Z", data.clone())).await;
    }
    world.lease("contact").await;
    let sequences = ["event_no_seq", "sync_queue_id_seq", "lease_token"];
    let reset: Vec<String> =
        sequences.iter().map(|name| format!("ALTER SEQUENCE {name} RESTART;")).collect();
    run(&world.database, &reset.concat()).await;
    for command in ["serve", "doctor"] {
        let said = says(command, &world.database, &[]).await;
        assert_eq!(said.code, Some(1), "{command}: {}", said.all);
        for name in sequences {
            assert!(said.all.contains(&format!("SELECT setval('{name}', ")), "{}", said.all);
        }
        assert!(!said.all.contains("crm_record_id_seq"), "{}", said.all);
    }
    let cures = world.queue.lagging_sequences().await.unwrap();
    let cures: Vec<String> = cures.iter().map(|lagging| lagging.cure() + ";").collect();
    run(&world.database, &cures.concat()).await;
    assert!(world.queue.lagging_sequences().await.unwrap().is_empty());
    world.accept(&event("e4", "user.created", "e4", "2026-01-01T10:00:00Z", data)).await;
}

/// Whoever is not let in may be later: the sender comes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_lets_nobody_in_is_a_503_and_passes() {
    let trial = Trial::new(database().await).await;
    let (name, theirs) = role(&trial.database, "SUPERUSER").await;
    let (gulf, far) = Gulf::to_database(&theirs).await;
    let soon = ("HUBFERRY__DATABASE__ACQUIRE_TIMEOUT_SECONDS", "1");
    let server = trial.server_at(&far, &[soon]).await;
    assert_eq!(post(&server, "before").await, 202);
    let nowhere = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(9);
    let database = theirs.get_database().expect("a name").to_owned();
    let cut = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE usename = '{name}' AND pid <> pg_backend_pid()"
    );
    let refusals = [
        (
            format!("ALTER DATABASE {database} ALLOW_CONNECTIONS false"),
            format!("ALTER DATABASE {database} ALLOW_CONNECTIONS true"),
        ),
        (format!("ALTER ROLE {name} NOLOGIN"), format!("ALTER ROLE {name} LOGIN")),
        (String::new(), String::new()),
    ];
    // Another role than the one that is locked out.
    let (_, admin) = role(&trial.database, "SUPERUSER").await;
    let admin = admin.database("postgres");
    for (number, (refuse, allow)) in refusals.iter().enumerate() {
        match refuse.as_str() {
            "" => gulf.turns_to(&nowhere),
            refuse => run(&admin, refuse).await,
        }
        run(&admin, &cut).await;
        let refused = post(&server, &format!("refused{number}")).await;
        assert_eq!(refused, 503, "{refuse}: {}", server.log());
        match allow.as_str() {
            "" => gulf.turns_to(&theirs),
            allow => run(&admin, allow).await,
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while post(&server, &format!("again{number}")).await != 202 {
            assert!(Instant::now() < deadline, "{allow}: {}", server.log());
        }
    }
    assert!(server.terminate().await.success());
}

#[tokio::test]
async fn one_cause_is_told_once() {
    let there = database().await;
    let nobody = there.clone().database("no_such_database");
    let said = says("migrate", &nobody, &[]).await;
    assert_eq!(said.all.matches("does not exist").count(), 1, "{}", said.all);
    // Who may change nothing.
    let (_, theirs) = role(&there, "").await;
    run(&there, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let said = says("migrate", &theirs, &[]).await;
    assert_eq!(said.all.matches("permission denied").count(), 1, "{}", said.all);
    assert!(said.all.contains("with the role that owns it"), "{}", said.all);
}

#[tokio::test]
async fn secrets_may_end_with_a_line_break_and_variables_that_are_no_text_are_named() {
    let there = database().await;
    let url = database_url(&there) + "\n";
    let said = says("migrate", &there, &[("DATABASE_URL", &url)]).await;
    assert_eq!(said.code, Some(0), "{}", said.all);
    let broken = url.trim_end().to_owned() + "\n&x=s3cret";
    let said = says("migrate", &there, &[("DATABASE_URL", &broken)]).await;
    assert!(said.code == Some(2) && said.all.contains("line break"), "{}", said.all);
    assert!(!said.all.contains("s3cret"), "{}", said.all);
    let output = hubferry(&["check"])
        .env("HUBSPOT_API_KEY", std::ffi::OsString::from_vec(b"s3cret\xff".to_vec()))
        .output()
        .await
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("HUBSPOT_API_KEY is not UTF-8"), "{said}");
    assert!(!said.contains("s3cret"), "{said}");
}

/// What docs/OPS.md says of such a role.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_may_only_read_and_write_rows_is_enough_to_serve() {
    let trial = Trial::new(database().await).await;
    let (name, theirs) = role(&trial.database, "").await;
    run(&trial.database, "REVOKE CREATE ON SCHEMA public FROM PUBLIC").await;
    let guide = include_str!("../../../docs/OPS.md");
    let grants: Vec<&str> = guide.lines().filter(|line| line.starts_with("GRANT ")).collect();
    assert_eq!(grants.len(), 3, "{grants:?}");
    run(&trial.database, &grants.concat().replace("hubferry_app", &name)).await;
    let server = trial.server_at(&theirs, &[]).await;
    let application = Application::start(1, vec![server.url.clone()]);
    application.sends(20).await;
    let accepted = application.end().await;
    trial.audit(&accepted).await;
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let admin = async |method: reqwest::Method, path: &str, body: Value| {
        let request = http.request(method, format!("{}/admin/sync{path}", server.url));
        let reply = request.bearer_auth(ADMIN_KEY).json(&body).send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.unwrap_or_default())
    };
    let (get, post) = (reqwest::Method::GET, reqwest::Method::POST);
    for (method, path, body) in [
        (get.clone(), "/status", json!({})),
        (post.clone(), "/pause", json!({ "reason": "tea" })),
        (post.clone(), "/resume", json!({})),
        (post.clone(), "/keys", json!({ "name": "one", "role": "viewer" })),
        (post, "/retry", json!({})),
        (get, "/logs", json!({})),
    ] {
        let (status, said) = admin(method, path, body).await;
        assert!(status < 300, "{path}: {status} {said}");
    }
    let said = says("doctor", &theirs, &[]).await;
    assert!(said.all.contains("none is behind its table"), "{}", said.all);
    for word in ["permission denied", "failed;", "could not be"] {
        assert!(!server.log().contains(word), "{}", server.log());
    }
    assert!(server.terminate().await.success());
}
