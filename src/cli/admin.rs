//! `status`, `retry`, `pause`, `resume`: admin actions on a running server.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::remote::Remote;
use super::send::ask;
use super::{ServerArgs, out, stop_signal, text};
use crate::cli::out::{note, say};
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry status\n  hubferry status --watch\n  hubferry status --json | jq .counts.failed"
)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// With --watch: how often, in seconds
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

pub(super) async fn status(args: &StatusArgs, config: &Config) -> Result<Exit> {
    let remote = Remote::admin(&args.server, config)?;
    let mut stopped = pin!(stop_signal());
    loop {
        let body = remote.call(Method::GET, "/admin/sync/status", None).await?;
        if args.server.json {
            say!("{body}");
        } else {
            if args.watch && std::io::stdout().is_terminal() {
                // From the top, on an empty screen.
                out::print(format_args!("\u{1b}[H\u{1b}[2J"));
            }
            out::print(format_args!("{}", picture(&body)));
        }
        if !args.watch {
            return Ok(Exit::Done);
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(args.every)) => {}
            () = &mut stopped => return Ok(Exit::Interrupted),
        }
    }
}

/// The status for people.
fn picture(body: &Value) -> String {
    let words = ["pending", "processing", "retry", "synced", "failed"];
    let mut text = format!("{:<10}{}\n", "", words.map(|w| format!("{w:>12}")).concat());
    let line = |name: &str, counts: &Value| {
        let count = |word: &str| counts[word].as_u64().unwrap_or(0);
        let numbers = words.map(|word| format!("{:>12}", text::number(count(word))));
        format!("{name:<10}{}\n", numbers.concat())
    };
    for (name, counts) in body["by_sync_type"].as_object().into_iter().flatten() {
        text.push_str(&line(name, counts));
    }
    text.push_str(&line("all", &body["counts"]));
    text.push_str(&format!("\ngate       {}\n", body["gate"]["state"].as_str().unwrap_or("?")));
    for reason in body["gate"]["reasons"].as_array().into_iter().flatten() {
        let word = |key: &str| text::plain(reason[key].as_str().unwrap_or(""), 300);
        let next = if reason["probed"] == true { "one record is tried at" } else { "until" };
        let until = reason["until"].as_str().map(|u| format!(", {next} {u}")).unwrap_or_default();
        let hint = Some(word("hint")).filter(|h| !h.is_empty()).map(|h| format!("; {h}"));
        let (kind, hint) = (word("kind"), hint.unwrap_or_default());
        text.push_str(&format!("           {kind}: {}{until}{hint}\n", word("reason")));
    }
    let quota = |part: &Value| format!("{} of {} calls", part["used"], part["limit"]);
    text.push_str(&format!("window     {}\n", quota(&body["limiter"])));
    text.push_str(&format!("today      {}\n", quota(&body["daily"])));
    let pace = body["throughput"]["synced_last_minute"].as_u64().unwrap_or(0);
    text.push_str(&format!("pace       {} in the last minute\n", text::count(pace, "row")));
    text.push_str(&match body["oldest_waiting_seconds"].as_u64() {
        Some(seconds) => {
            let waits = text::span(Duration::from_secs(seconds));
            format!("waiting    the oldest for {waits}\n")
        }
        None => "waiting    nothing\n".to_owned(),
    });
    for task in body["tasks"].as_array().into_iter().flatten() {
        let word = |key: &str| text::plain(task[key].as_str().unwrap_or(""), 300);
        let error = word("last_error");
        if !error.is_empty() {
            let (name, next) = (word("name"), word("next_run_at"));
            text.push_str(&format!("task       {name} failed: {error}; tried again at {next}\n"));
        }
    }
    text
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry retry 41 42\n  hubferry retry --error-code INVALID_OPTION --type contact --dry-run\n  hubferry retry --since 2026-11-20T10:00:00Z --until 2026-11-20T12:00:00Z\n  hubferry retry --all --yes"
)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Row numbers
    #[arg(value_name = "ROW")]
    rows: Vec<i64>,
    /// Rows of one object kind, such as contact
    #[arg(long = "type", value_name = "KIND")]
    sync_type: Option<String>,
    /// Rows with one error code
    #[arg(long, value_name = "CODE")]
    error_code: Option<String>,
    /// Rows accepted at or after this instant, such as 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<String>,
    /// Rows accepted before this instant
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<String>,
    /// Every failed row
    #[arg(long, conflicts_with = "rows")]
    all: bool,
    /// Erase what HubSpot had before it was adopted: confirms rows that failed with ADOPTED_RECORD
    #[arg(long, requires = "rows", conflicts_with = "dry_run")]
    confirm_erasure: bool,
    /// Only say how many rows match, and show some
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Needed with filters where there is no terminal to ask on
    #[arg(long)]
    yes: bool,
}

/// An instant as the server reads it.
pub(super) fn instant(text: &str) -> Result<String, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|_| text.to_owned())
        .map_err(|_| "use an instant such as 2026-11-20T10:00:00Z".into())
}

pub(super) async fn retry(args: &RetryArgs, config: &Config) -> Result<Exit> {
    let filters = [&args.sync_type, &args.error_code, &args.since, &args.until];
    let named = !args.rows.is_empty() || filters.iter().any(|filter| filter.is_some());
    if !named && !args.all {
        return Err(exit::wrong(
            "say which failed rows: numbers, --type, --error-code, --since, --until, or --all",
        ));
    }
    let mut body = json!({ "sync_type": args.sync_type, "error_code": args.error_code,
                           "since": args.since, "until": args.until });
    if !args.rows.is_empty() {
        body["ids"] = json!(args.rows);
    }
    let remote = Remote::admin(&args.server, config)?;
    // Rows that are named one by one are meant; of a filter nobody knows how many match.
    let asks = !args.yes && !args.dry_run && args.rows.is_empty();
    if asks && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(exit::wrong(
            "there is no terminal to ask on: add --yes, or see with --dry-run what would be retried",
        ));
    }
    if args.dry_run || asks {
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let answer = remote.call(Method::POST, PATH, Some(dry)).await?;
        if args.dry_run {
            if args.server.json {
                say!("{answer}");
            } else {
                out::print(format_args!("{}", preview(&answer)));
            }
            return Ok(Exit::Done);
        }
        out::hint(format_args!("{}", preview(&answer)));
        if answer["matching"] == 0 || !ask("Retry them?")? {
            note!("nothing was retried");
            return Ok(if answer["matching"] == 0 { Exit::Done } else { Exit::Interrupted });
        }
    }
    if args.confirm_erasure {
        for row in &args.rows {
            remote.call(Method::POST, &format!("/admin/sync/queue/{row}/confirm"), None).await?;
        }
        tell(
            &args.server,
            &json!({ "confirmed": args.rows.len() }),
            "confirmed: it is erased for good",
        );
        return Ok(Exit::Done);
    }
    let answer = remote.call(Method::POST, PATH, Some(body)).await?;
    let retried = answer["retried"].as_u64().unwrap_or(0);
    if args.server.json {
        say!("{answer}");
    } else {
        say!("{} retried", text::count(retried, "row"));
    }
    let named = args.rows.iter().collect::<BTreeSet<_>>().len() as u64;
    if retried < named {
        let rows = text::count(named - retried, "row");
        note!("{rows} of those named cannot be retried: no such row, or it has not failed");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

const PATH: &str = "/admin/sync/retry";

/// How many rows match, and some of them.
fn preview(answer: &Value) -> String {
    let mut rows = Vec::new();
    for row in answer["sample"].as_array().into_iter().flatten() {
        let word = |value: &Value| text::plain(value.as_str().unwrap_or("–"), 80);
        rows.push(vec![
            word(&row["id"]),
            word(&row["sync_type"]),
            word(&row["external_id"]),
            word(&row["event_type"]),
            word(&row["error"]["code"]),
            word(&row["error"]["message"]),
        ]);
    }
    let matching = answer["matching"].as_u64().unwrap_or(0);
    let more = match matching.saturating_sub(rows.len() as u64) {
        0 => String::new(),
        more => format!("and {} more\n", text::number(more)),
    };
    let verb = if matching == 1 { "matches" } else { "match" };
    format!("{} {verb}\n{}{more}", text::count(matching, "failed row"), text::table(&rows))
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hubferry pause --reason 'the CRM team is merging duplicates'")]
pub(super) struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Why, for whoever looks at it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn pause(args: &PauseArgs, config: &Config) -> Result<Exit> {
    let body = json!({ "reason": args.reason });
    let remote = Remote::admin(&args.server, config)?;
    let answer = remote.call(Method::POST, "/admin/sync/pause", Some(body)).await?;
    tell(&args.server, &answer, "paused: events are accepted and wait; `hubferry resume` goes on");
    Ok(Exit::Done)
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hubferry resume")]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn resume(args: &ResumeArgs, config: &Config) -> Result<Exit> {
    let remote = Remote::admin(&args.server, config)?;
    let answer = remote.call(Method::POST, "/admin/sync/resume", None).await?;
    tell(&args.server, &answer, "sending goes on");
    Ok(Exit::Done)
}

fn tell(server: &ServerArgs, answer: &Value, text: &str) {
    if server.json {
        say!("{answer}");
    } else {
        say!("{text}");
    }
}
