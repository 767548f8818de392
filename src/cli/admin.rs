//! `status`, `retry`, `pause`, `resume`: the admin's verbs on a running server.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::ServerArgs;
use super::remote::Remote;
use crate::config::Config;

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn status(args: &StatusArgs, config: &Config) -> Result<ExitCode> {
    let body =
        Remote::new(&args.server, config)?.call(Method::GET, "/admin/sync/status", None).await?;
    if args.server.json {
        println!("{body}");
        return Ok(ExitCode::SUCCESS);
    }
    let words = ["pending", "processing", "retry", "synced", "failed"];
    println!("{:<10}{}", "", words.map(|w| format!("{w:>12}")).concat());
    let line = |name: &str, counts: &Value| {
        let numbers = words.map(|w| format!("{:>12}", counts[w].as_i64().unwrap_or(0)));
        println!("{name:<10}{}", numbers.concat());
    };
    for (name, counts) in body["by_sync_type"].as_object().into_iter().flatten() {
        line(name, counts);
    }
    line("all", &body["counts"]);
    println!();
    println!("gate       {}", body["gate"]["state"].as_str().unwrap_or("?"));
    for reason in body["gate"]["reasons"].as_array().into_iter().flatten() {
        let text = |key: &str| reason[key].as_str().unwrap_or("");
        let until = reason["until"].as_str().map(|u| format!(", until {u}")).unwrap_or_default();
        println!("           {}: {}{until}; {}", text("kind"), text("reason"), text("hint"));
    }
    println!("window     {} of {} calls", body["limiter"]["used"], body["limiter"]["limit"]);
    println!("today      {} of {} calls", body["daily"]["used"], body["daily"]["limit"]);
    match body["oldest_waiting_seconds"].as_i64() {
        Some(seconds) => println!("waiting    the oldest for {seconds} s"),
        None => println!("waiting    nothing"),
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry retry 41 42\n  hubferry retry --error-code INVALID_OPTION --type contact\n  hubferry retry --all"
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
    /// Every failed row
    #[arg(long, conflicts_with = "rows")]
    all: bool,
}

pub(super) async fn retry(args: &RetryArgs, config: &Config) -> Result<ExitCode> {
    let named = !args.rows.is_empty() || args.sync_type.is_some() || args.error_code.is_some();
    if !named && !args.all {
        anyhow::bail!("say which failed rows: numbers, --type, --error-code, or --all");
    }
    let mut body = json!({ "sync_type": args.sync_type, "error_code": args.error_code });
    if !args.rows.is_empty() {
        body["ids"] = json!(args.rows);
    }
    let remote = Remote::new(&args.server, config)?;
    let answer = remote.call(Method::POST, "/admin/sync/retry", Some(body)).await?;
    if args.server.json {
        println!("{answer}");
    } else {
        println!("{} rows are tried again", answer["retried"]);
    }
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Why, for whoever looks at it
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

pub(super) async fn pause(args: &PauseArgs, config: &Config) -> Result<ExitCode> {
    let body = json!({ "reason": args.reason });
    let remote = Remote::new(&args.server, config)?;
    let answer = remote.call(Method::POST, "/admin/sync/pause", Some(body)).await?;
    tell(&args.server, &answer, "paused: events are accepted and wait; `hubferry resume` goes on");
    Ok(ExitCode::SUCCESS)
}

#[derive(Debug, Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn resume(args: &ResumeArgs, config: &Config) -> Result<ExitCode> {
    let remote = Remote::new(&args.server, config)?;
    let answer = remote.call(Method::POST, "/admin/sync/resume", None).await?;
    tell(&args.server, &answer, "sending goes on");
    Ok(ExitCode::SUCCESS)
}

fn tell(server: &ServerArgs, answer: &Value, text: &str) {
    if server.json {
        println!("{answer}");
    } else {
        println!("{text}");
    }
}
