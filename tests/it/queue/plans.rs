//! Plans that hold when the tables are not what they were when Postgres looked at them.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};

use crate::reliability::chaos::trial::Trial;
use crate::support::binary::Server;
use crate::support::{ADMIN_KEY, INGEST_KEY, World, database, event};

/// Users of each burst.
const BURST: usize = 2_000;
/// What a row and its record may cost, in entries of all indexes.
const ENTRIES: i64 = 60;

/// Statistics that were gathered while nothing was open say that nothing ever is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_after_a_quiet_hour_finds_its_rows_by_their_records() {
    let options = database().await;
    let trial = Trial::new(options.clone()).await;
    burst(&trial, 0).await;
    let mut db = options.connect().await.expect("a connection");
    sqlx::query("VACUUM ANALYZE").execute(&mut db).await.expect("a quiet hour");
    let before = entries(&mut db).await;
    burst(&trial, 1).await;
    let read = entries(&mut db).await - before;
    let rows = i64::try_from(BURST).expect("a number");
    println!("{} entries a row", read / rows);
    assert!(read < rows * ENTRIES, "{read} entries were read for {rows} rows");
    db.close().await.ok();
}

/// Users that come all at once, and are synced by a process of their own, which ends.
async fn burst(trial: &Trial, number: usize) {
    let settings = [
        ("HUBFERRY__HUBSPOT__LIMIT_PER_10S", "100000"),
        // A call that is given up and made again would read twice.
        ("HUBSPOT_TIMEOUT", "15"),
        ("HUBFERRY__WORKER__LEASE_SECONDS", "25"),
    ];
    let server = trial.server_at(&trial.database, &settings).await;
    let users: Vec<Value> = (0..BURST)
        .map(|n| {
            let id = format!("u-{number}-{n}");
            let data = json!({ "email": format!("{id}@example.com") });
            event(&format!("e-{id}"), "user.created", &id, "2026-01-01T10:00:00Z", data)
        })
        .collect();
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    verb(&http, &server, "pause").await;
    for body in users.chunks(500) {
        let request = http.post(format!("{}/v1/events", server.url)).bearer_auth(INGEST_KEY);
        assert_eq!(request.json(body).send().await.expect("an answer").status(), 202);
    }
    verb(&http, &server, "resume").await;
    let deadline = Instant::now() + Duration::from_secs(240);
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    // By HubSpot's side: to count what is open would read what is measured.
    let key = format!("u-{number}-");
    let ours = |keys: Option<&String>| keys.is_some_and(|k| k.starts_with(&key));
    let synced = || {
        let contacts = trial.sandbox.objects("contacts");
        contacts.iter().filter(|c| ours(c.properties.get("hubferry_id"))).count()
    };
    while synced() < BURST {
        assert!(Instant::now() < deadline, "the burst takes too long");
        ticks.tick().await;
    }
    // What its connections have read is told when they end.
    assert!(server.terminate().await.success());
}

async fn verb(http: &reqwest::Client, server: &Server, verb: &str) {
    let request = http.post(format!("{}/admin/sync/{verb}", server.url)).bearer_auth(ADMIN_KEY);
    let reply = request.json(&json!({})).send().await.expect("an answer");
    assert!(reply.status().is_success(), "{verb}: {}", reply.status());
}

/// Entries of the queue's indexes that were read so far.
async fn entries(db: &mut sqlx::PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT sum(idx_tup_read)::bigint FROM pg_stat_user_indexes
         WHERE relname IN ('crm_record', 'sync_queue', 'crm_association', 'event')",
    )
    .fetch_one(db)
    .await
    .expect("statistics")
}

#[tokio::test]
async fn the_tables_of_the_pages_benchmark_can_be_filled() {
    let world = World::new().await;
    let fill = include_str!("../../../examples/bench_pages/fill.sql");
    let fill = fill.replace("{rows}", "2000").replace("{records}", "400");
    let mut db = world.queue.pool().acquire().await.expect("a connection");
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *db).await.expect("it is filled");
    let counts = &world.get("/status").await["counts"];
    let rows: i64 = ["pending", "processing", "synced", "failed", "retry"]
        .iter()
        .map(|status| counts[status].as_i64().expect("a count"))
        .sum();
    assert_eq!(rows, 2_000, "{counts}");
    // What comes afterwards finds its numbers free.
    let data = json!({ "email": "a@example.com" });
    world.accept(&event("new", "user.created", "new", "2026-01-01T10:00:00Z", data)).await;
}
