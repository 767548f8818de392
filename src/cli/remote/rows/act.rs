//! `hubferry rows retry`, `discard` and `confirm-erasure`: first a preview, then the action.

use std::collections::BTreeSet;
use std::io::IsTerminal as _;

use anyhow::Result;
use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Filters, PATH, cells};
use crate::cli::exit::{self, Exit};
use crate::cli::out::note;
use crate::cli::remote::{Remote, show};
use crate::cli::send::ask;
use crate::cli::{ServerArgs, out, text};
use crate::config::Config;
use crate::operator::rows::Verb;

#[derive(Debug, Args)]
pub(super) struct ActArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Row numbers
    #[arg(value_name = "ROW")]
    rows: Vec<i64>,
    #[command(flatten)]
    filters: Filters,
    /// Every failed row
    #[arg(long, conflicts_with = "rows")]
    all: bool,
    /// Only say how many rows match, and show some
    #[arg(long)]
    dry_run: bool,
    /// Do not ask. Needed with filters if there is no terminal to ask on
    #[arg(long)]
    yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct ConfirmArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Row numbers
    #[arg(required = true, value_name = "ROW")]
    rows: Vec<i64>,
    /// Do not ask. Needed if there is no terminal to ask on
    #[arg(long)]
    yes: bool,
}

/// Fails if a person must be asked and cannot be.
fn needs_terminal(asks: bool) -> Result<()> {
    if asks && !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Err(exit::wrong(
            "this needs a confirmation, and there is no terminal to ask on: add --yes",
        ));
    }
    Ok(())
}

pub(super) async fn run(verb: Verb, args: &ActArgs, config: &Config) -> Result<Exit> {
    if args.rows.is_empty() && !args.filters.are_set() && !args.all {
        return Err(exit::wrong(format!(
            "which failed rows to {}? Give row numbers, a filter such as --type or --error-code, \
             or --all",
            verb.as_str()
        )));
    }
    let mut body = args.filters.body();
    body["all"] = json!(args.all);
    if !args.rows.is_empty() {
        body["ids"] = json!(args.rows);
    }
    let at = format!("/admin/sync/{}", verb.as_str());
    let remote = Remote::admin(&args.server, config)?;
    // Rows that are named one by one are meant. Nobody knows how many rows match a filter.
    let asks = !args.yes && !args.dry_run && args.rows.is_empty();
    needs_terminal(asks)?;
    if args.dry_run || asks {
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let answer = remote.call(Method::POST, &at, Some(dry)).await?;
        if args.dry_run {
            show(&args.server, &answer, || preview(&answer));
            return Ok(Exit::Done);
        }
        out::hint(format_args!("{}", preview(&answer)));
        if answer["matching"] == 0 {
            note!("There is nothing to {}.", verb.as_str());
            return Ok(Exit::Done);
        }
        if !ask(&format!("{} them?", verb.title()))? {
            note!("Nothing was changed.");
            return Ok(Exit::Interrupted);
        }
    }
    // A single row may also be one to restore, and its refusal says why.
    if let ([row], false) = (args.rows.as_slice(), args.filters.are_set()) {
        let one = format!("{PATH}/{row}/{}", verb.as_str());
        let answer = remote.call(Method::POST, &one, None).await?;
        show(&args.server, &answer, || format!("{}\n", verb.outcome("1 row")));
        return Ok(Exit::Done);
    }
    let answer = remote.call(Method::POST, &at, Some(body)).await?;
    let key = match verb {
        Verb::Retry => "retried",
        Verb::Discard => "discarded",
    };
    let done = answer[key].as_u64().unwrap_or(0);
    show(&args.server, &answer, || format!("{}\n", verb.outcome(&text::count(done, "row"))));
    let named = args.rows.iter().collect::<BTreeSet<_>>().len() as u64;
    if done < named {
        let rows = text::count(named - done, "row");
        note!("{rows} of those named: there is no such row, or it is not failed.");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

pub(super) async fn confirm_erasure(args: &ConfirmArgs, config: &Config) -> Result<Exit> {
    let remote = Remote::admin(&args.server, config)?;
    let records = text::count(args.rows.len() as u64, "record");
    needs_terminal(!args.yes)?;
    if !args.yes && !ask(&format!("Erase {records} in HubSpot for good?"))? {
        note!("Nothing was changed.");
        return Ok(Exit::Interrupted);
    }
    for row in &args.rows {
        remote.call(Method::POST, &format!("{PATH}/{row}/confirm"), None).await?;
    }
    show(&args.server, &json!({ "confirmed": args.rows.len() }), || {
        format!("Confirmed. {records} will be erased in HubSpot for good.\n")
    });
    Ok(Exit::Done)
}

/// How many rows match, and some of them.
fn preview(answer: &Value) -> String {
    let rows = answer["sample"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = rows.map(cells).collect();
    let matching = answer["matching"].as_u64().unwrap_or(0);
    let more = match matching.saturating_sub(rows.len() as u64) {
        0 => String::new(),
        more => format!("and {} more\n", text::number(more)),
    };
    let verb = if matching == 1 { "matches" } else { "match" };
    format!("{} {verb}\n{}{more}", text::count(matching, "failed row"), text::table(&rows))
}
