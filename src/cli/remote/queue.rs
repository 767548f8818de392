//! `hubferry queue`: pauses and resumes all sending.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::{Remote, show};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry queue pause --reason 'the CRM team is merging duplicates'\n  hubferry queue resume\n\n`hubferry status` shows whether and why sending is paused."
)]
pub(in crate::cli) struct QueueArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Stop sending; events are still accepted and wait
    #[command(
        after_help = "Example:\n  hubferry queue pause --reason 'the CRM team is merging duplicates'"
    )]
    Pause {
        #[command(flatten)]
        server: ServerArgs,
        /// The reason, for other people: at most 500 characters
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Resume sending, and check again the gates that a fault has closed
    #[command(after_help = "Example:\n  hubferry queue resume")]
    Resume {
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(in crate::cli) async fn run(args: &QueueArgs, config: &Config) -> Result<Exit> {
    match &args.verb {
        Verb::Pause { server, reason } => {
            let remote = Remote::admin(server, config)?;
            let body = json!({ "reason": reason });
            let answer = remote.call(Method::POST, "/admin/sync/pause", Some(body)).await?;
            show(server, &answer, || {
                "Paused. Events are accepted and wait until `hubferry queue resume`.\n".into()
            });
        }
        Verb::Resume { server } => {
            let remote = Remote::admin(server, config)?;
            let answer = remote.call(Method::POST, "/admin/sync/resume", None).await?;
            show(server, &answer, || "Sending resumes.\n".into());
        }
    }
    Ok(Exit::Done)
}
