//! `hubferry status`: counts, gates and limits of a running server.

use std::io::IsTerminal as _;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::Remote;
use crate::cli::exit::Exit;
use crate::cli::out::say;
use crate::cli::{ServerArgs, out, stop_signal, text};
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry status\n  hubferry status --watch\n  hubferry status --json | jq .counts.failed"
)]
pub(in crate::cli) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Refresh until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// With --watch: seconds between two refreshes
    #[arg(long, default_value_t = 2, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3_600))]
    every: u64,
}

pub(in crate::cli) async fn run(args: &StatusArgs, config: &Config) -> Result<Exit> {
    let remote = Remote::admin(&args.server, config)?;
    let mut stopped = pin!(stop_signal());
    loop {
        let body = remote.call(Method::GET, "/admin/sync/status", None).await?;
        if args.server.json {
            say!("{body}");
        } else {
            if args.watch && std::io::stdout().is_terminal() {
                // Clear the screen and start at its top.
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
