//! `hubferry audit`: who did what.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;

use super::{PageArgs, Remote, list, path, word};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::config::Config;

#[derive(Debug, Args)]
pub(in crate::cli) struct AuditArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List who did what, newest first
    #[command(
        after_help = "Examples:\n  hubferry audit list\n  hubferry audit list --action discard --json | jq '.items[]'"
    )]
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// Only one action, such as retry or pause
        #[arg(long, value_name = "ACTION")]
        action: Option<String>,
        /// Only what one person or program did
        #[arg(long, value_name = "NAME")]
        actor: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
}

pub(in crate::cli) async fn run(args: &AuditArgs, config: &Config) -> Result<Exit> {
    let Verb::List { server, action, actor, page } = &args.verb;
    let [limit, cursor] = page.query();
    let query = [("action", action.clone()), ("actor", actor.clone()), limit, cursor];
    let remote = Remote::admin(server, config)?;
    let answer = remote.call(Method::GET, &path("/admin/sync/audit", query), None).await?;
    list(server, &answer, ["time", "who", "action", "target", "details"], |line| {
        [
            word(&line["at"]).chars().take(19).collect(),
            word(&line["actor"]),
            word(&line["action"]),
            word(&line["target"]),
            word(&line["details"]),
        ]
    });
    Ok(Exit::Done)
}
