//! `hubferry errors`: failed rows in groups.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;

use super::{Remote, list, minute, path, word};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::config::Config;

#[derive(Debug, Args)]
pub(in crate::cli) struct ErrorsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List failed rows in groups: what is wrong, how often, and what to do
    #[command(
        after_help = "Examples:\n  hubferry errors list\n  hubferry errors list --type contact --json | jq '.items[].code'"
    )]
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// Only one object kind, such as contact
        #[arg(long = "type", value_name = "KIND")]
        sync_type: Option<String>,
        /// The most groups to show
        #[arg(long, default_value_t = 50, value_name = "GROUPS", value_parser = clap::value_parser!(u32).range(1..=500))]
        limit: u32,
    },
}

pub(in crate::cli) async fn run(args: &ErrorsArgs, config: &Config) -> Result<Exit> {
    let Verb::List { server, sync_type, limit } = &args.verb;
    let query = [("sync_type", sync_type.clone()), ("limit", Some(limit.to_string()))];
    let remote = Remote::admin(server, config)?;
    let answer = remote.call(Method::GET, &path("/admin/sync/errors", query), None).await?;
    let head = ["rows", "type", "code", "property", "last failed", "what to do"];
    list(server, &answer, head, |group| {
        [
            word(&group["rows"]),
            word(&group["sync_type"]),
            word(&group["code"]),
            word(&group["property"]),
            minute(&group["last_at"]),
            word(&group["hint"]),
        ]
    });
    Ok(Exit::Done)
}
