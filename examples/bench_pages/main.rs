//! How fast the admin's pages are with a million rows: each alone, and 300 people at once.
//!
//! A private Postgres is filled, the server is started on it with sending switched off, and the
//! pages of [`PAGES`] are asked for over HTTP. A benchmark, not a test: it prints and judges nothing
//! but what is beyond its aim.
#![expect(clippy::print_stdout, reason = "a benchmark talks to people")]

mod measure;

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use hubferry::app::{self, App, Role};
use hubferry::config::{Config, Environment};
use pg_cluster::{Cluster, Options};
use sqlx::AssertSqlSafe;
use tokio::net::TcpListener;

use measure::{Page, Pages, Times, median};

/// A page, and how many milliseconds it may take alone. `{failed}`, `{synced}`, `{pending}`, `{external}`,
/// `{middle}`, `{since}` and `{until}` are filled in.
const PAGES: [(&str, u64); 47] = [
    ("/admin", 200),
    ("/admin?range=7d", 200),
    ("/admin/queue", 200),
    ("/admin/queue?status=failed", 200),
    ("/admin/queue?status=pending&sync_type=deal", 200),
    ("/admin/queue/{failed}", 200),
    ("/admin/queue/{pending}", 200),
    ("/admin/queue?q={external}", 500),
    ("/admin/queue?q=property%20refused", 500),
    ("/admin/records", 200),
    ("/admin/records?sync_type=ticket&state=linked", 200),
    ("/admin/records?q={external}", 500),
    ("/admin/records/contact/{external}", 200),
    ("/admin/errors", 200),
    ("/admin/logs", 200),
    ("/admin/audit", 200),
    ("/admin/settings", 200),
    ("/admin/keys", 200),
    ("/admin/sync/status", 200),
    ("/admin/sync/errors", 200),
    ("/admin/sync/logs", 200),
    ("/admin/sync/logs?failures=true", 500),
    ("/admin/sync/records", 200),
    ("/admin/sync/settings", 200),
    ("/admin/sync/queue", 200),
    ("/admin/sync/queue?limit=500", 200),
    ("/admin/sync/queue?cursor=o{middle}", 200),
    ("/admin/sync/queue?cursor=n{middle}", 200),
    ("/admin/sync/queue?status=pending", 200),
    ("/admin/sync/queue?status=processing", 200),
    ("/admin/sync/queue?status=retry", 200),
    ("/admin/sync/queue?status=synced", 200),
    ("/admin/sync/queue?status=failed", 200),
    ("/admin/sync/queue?sync_type=ticket", 500),
    ("/admin/sync/queue?event_type=dispute.resolved", 500),
    ("/admin/sync/queue?external_id={external}", 500),
    ("/admin/sync/queue?error_code=INVALID_EMAIL", 500),
    ("/admin/sync/queue?error_code=VALIDATION_ERROR", 500),
    ("/admin/sync/queue?error_code=NOWHERE", 500),
    ("/admin/sync/queue?priority=high", 500),
    ("/admin/sync/queue?since={since}&until={until}", 500),
    ("/admin/sync/queue?status=failed&sync_type=deal&error_code=CONFLICT", 500),
    ("/admin/sync/queue?q=evt-500001", 500),
    ("/admin/sync/queue?q=person4711%40example.com", 500),
    ("/admin/sync/queue?q=nobody", 500),
    ("/admin/sync/queue/{failed}", 200),
    ("/admin/sync/queue/{synced}", 200),
];

/// The first pages are the dashboard's, which people click through; the others are the API's.
const PEOPLE: usize = 18;

/// What a page may take while all are clicking, at the 95th percentile.
const CROWD_AIM: Duration = Duration::from_secs(2);

#[derive(Debug, Parser)]
struct Args {
    /// Rows of the queue
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// Records they belong to
    #[arg(long, default_value_t = 200_000)]
    records: u64,
    /// Requests of each page alone, a run
    #[arg(long, default_value_t = 20)]
    requests: usize,
    /// People clicking at once
    #[arg(long, default_value_t = 300)]
    clients: usize,
    /// How long they click, in seconds, a run
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Runs; the median of them is shown
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// Leave the crowd out
    #[arg(long)]
    alone: bool,
}

fn main() -> Result<()> {
    let args = Args::parse();
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(run(args))
}

async fn run(args: Args) -> Result<()> {
    let environment = Environment::of_process();
    let options = Options {
        bin_dir: environment.pg_bin_dir(),
        path: environment.path(),
        ..Options::default()
    };
    let cluster = tokio::task::spawn_blocking(move || Cluster::temporary(options)).await??;
    let outcome = measured(&args, &cluster).await;
    tokio::task::spawn_blocking(move || cluster.stop()).await??;
    outcome
}

async fn measured(args: &Args, cluster: &Cluster) -> Result<()> {
    let key = "the-admins-key-of-the-benchmark-01";
    let config = Config::load(
        None,
        &Environment::of(&[
            ("HUBFERRY_INGEST_KEY", "the-ingest-key-of-the-benchmark-01"),
            ("HUBFERRY_ADMIN_KEY", key),
            // Nothing is to move, so there is no HubSpot either.
            ("HUBFERRY__WORKER__ENABLED", "false"),
        ]),
    )?;
    let queue = app::open_queue(&config, cluster.create_database("bench").await?).await?;
    let started = Instant::now();
    let fill = include_str!("fill.sql")
        .replace("{rows}", &args.rows.to_string())
        .replace("{records}", &args.records.to_string());
    // One connection: the statements share temporary tables.
    let mut connection = queue.pool().acquire().await?;
    sqlx::raw_sql(AssertSqlSafe(fill)).execute(&mut *connection).await.context("filling")?;
    sqlx::raw_sql("VACUUM ANALYZE").execute(&mut *connection).await?;
    let postgres: String =
        sqlx::query_scalar("SHOW server_version").fetch_one(&mut *connection).await?;
    drop(connection);
    println!("{}, PostgreSQL {postgres}", measure::machine());
    println!(
        "{} rows over {} records, filled in {:.0} s\n",
        args.rows,
        args.records,
        started.elapsed().as_secs_f64()
    );

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let app = App::start(&config, Role::All, queue, listener).await?;
    let pages = pages(&app, args).await?;
    let client = Pages::new(format!("http://{}", app.address), key).await?;
    let alone = alone(&client, &pages, args).await?;
    let crowd = if args.alone { Vec::new() } else { crowd(&client, &pages, args).await? };
    print(&pages, &alone, &crowd, args);
    app.stop().await
}

/// The pages with their blanks filled in.
async fn pages(app: &App, args: &Args) -> Result<Vec<Page>> {
    let text = |statement: &'static str| {
        sqlx::query_scalar::<_, String>(statement).fetch_one(app.queue.pool())
    };
    let failed = text("SELECT max(id)::text FROM sync_queue WHERE status = 'failed'").await?;
    let pending = text("SELECT max(id)::text FROM sync_queue WHERE status = 'pending'").await?;
    let synced = text("SELECT min(id)::text FROM sync_queue WHERE status = 'synced'").await?;
    let time = "SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";
    let at = |days: &str| format!("{time} FROM (SELECT now() - interval '{days} days' AS at) t");
    let since = sqlx::query_scalar::<_, String>(AssertSqlSafe(at("20")));
    let since = since.fetch_one(app.queue.pool()).await?;
    let until = sqlx::query_scalar::<_, String>(AssertSqlSafe(at("19")));
    let until = until.fetch_one(app.queue.pool()).await?;
    let filled = |path: &str| {
        path.replace("{failed}", &failed)
            .replace("{synced}", &synced)
            .replace("{pending}", &pending)
            .replace("{external}", "u-4710")
            .replace("{middle}", &(args.rows / 2).to_string())
            .replace("{since}", &since)
            .replace("{until}", &until)
    };
    let page = |&(path, aim): &(&'static str, u64)| Page {
        name: path,
        path: filled(path),
        aim: Duration::from_millis(aim),
    };
    Ok(PAGES.iter().map(page).collect())
}

/// Each page by itself, run after run.
async fn alone(client: &Pages, pages: &[Page], args: &Args) -> Result<Vec<Vec<Times>>> {
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        let mut run = Vec::new();
        for page in pages {
            let warm = client.ask(page).await?;
            anyhow::ensure!(warm.1 == 200, "{} answered {}", page.path, warm.1);
            let mut times = Times::default();
            for _ in 0..args.requests {
                times.add(client.ask(page).await?);
            }
            run.push(times);
        }
        runs.push(run);
    }
    Ok(runs)
}

/// All people at once, each clicking through the pages of the dashboard from another one on.
async fn crowd(client: &Pages, pages: &[Page], args: &Args) -> Result<Vec<Vec<Times>>> {
    let mut runs = Vec::new();
    for _ in 0..args.runs {
        let until = Instant::now() + Duration::from_secs(args.seconds);
        runs.push(measure::crowd(client, &pages[..PEOPLE], args.clients, until).await?);
    }
    Ok(runs)
}

fn print(pages: &[Page], alone: &[Vec<Times>], crowd: &[Vec<Times>], args: &Args) {
    println!("alone: {} requests, median of {} runs, milliseconds", args.requests, args.runs);
    println!("{:<68}{:>8}{:>8}{:>8}", "page", "p50", "p95", "aim");
    for (number, page) in pages.iter().enumerate() {
        let of = |part: f64| median(alone.iter().map(|run| run[number].part(part)).collect());
        let (half, most) = (of(0.5), of(0.95));
        let mark = if most > page.aim { "  slow" } else { "" };
        println!(
            "{:<68}{:>8}{:>8}{:>8}{mark}",
            page.name,
            half.as_millis(),
            most.as_millis(),
            page.aim.as_millis()
        );
    }
    if crowd.is_empty() {
        return;
    }
    println!(
        "\n{} people clicking every 1 to 3 seconds for {} s, median of {} runs, milliseconds",
        args.clients, args.seconds, args.runs
    );
    println!("{:<68}{:>8}{:>8}{:>8}{:>8}", "page", "p50", "p95", "asked", "failed");
    let line = |name: &str, of: &dyn Fn(&Vec<Times>) -> Times| {
        let runs: Vec<Times> = crowd.iter().map(of).collect();
        let part = |part: f64| median(runs.iter().map(|times| times.part(part)).collect());
        let (asked, failed) = runs.iter().fold((0, 0), |(a, f), t| (a + t.asked(), f + t.failed()));
        let mark = if part(0.95) > CROWD_AIM || failed > 0 { "  slow" } else { "" };
        println!(
            "{name:<68}{:>8}{:>8}{asked:>8}{failed:>8}{mark}",
            part(0.5).as_millis(),
            part(0.95).as_millis()
        );
    };
    for (number, page) in pages[..PEOPLE].iter().enumerate() {
        line(page.name, &|run| run[number].clone());
    }
    line("all", &|run| run.iter().fold(Times::default(), |all, times| all.and(times)));
}
