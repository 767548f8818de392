//! `hubferry keys`: manages the keys of a running server.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::{Remote, list, minute, segment, show, word};
use crate::cli::exit::{self, Exit};
use crate::cli::out::note;
use crate::cli::{ServerArgs, out, text};
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry keys list\n  hubferry keys create 'billing backend' --role ingest\n  hubferry keys create 'night shift' --role operator --expires-in-days 90\n  hubferry keys revoke 7\n\nA key is shown once, when it is created; the server stores only a hash. Roles: ingest sends events,\nviewer reads everything but payloads, operator also retries, discards, resyncs, pauses and resumes, admin\nalso changes settings and keys."
)]
pub(in crate::cli) struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the keys, without their text
    #[command(after_help = "Example:\n  hubferry keys list")]
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Create a key and show it once
    #[command(
        after_help = "Examples:\n  hubferry keys create 'billing backend' --role ingest\n  hubferry keys create 'night shift' --role operator --expires-in-days 90"
    )]
    Create {
        #[command(flatten)]
        server: ServerArgs,
        /// What the key is for
        name: String,
        /// What the key may do
        #[arg(long, value_enum)]
        role: Role,
        /// Days until it expires; without this it does not expire
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        expires_in_days: Option<u32>,
    },
    /// Revoke a key immediately and permanently
    #[command(after_help = "Example:\n  hubferry keys revoke 7")]
    Revoke {
        #[command(flatten)]
        server: ServerArgs,
        /// The number of the key, as `keys list` shows it
        id: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Ingest,
    Viewer,
    Operator,
    Admin,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

const PATH: &str = "/admin/sync/keys";

pub(in crate::cli) async fn run(args: &KeysArgs, config: &Config) -> Result<Exit> {
    match &args.verb {
        Verb::List { server } => {
            let answer = Remote::admin(server, config)?.call(Method::GET, PATH, None).await?;
            let head =
                ["id", "name", "prefix", "role", "state", "created", "by", "expires", "used"];
            list(server, &answer, head, |key| {
                [
                    word(&key["id"]),
                    word(&key["name"]),
                    word(&key["prefix"]),
                    word(&key["role"]),
                    word(&key["state"]),
                    minute(&key["created_at"]),
                    word(&key["created_by"]),
                    minute(&key["expires_at"]),
                    minute(&key["last_used_at"]),
                ]
            });
        }
        Verb::Create { server, name, role, expires_in_days } => {
            let body =
                json!({ "name": name, "role": role.as_str(), "expires_in_days": expires_in_days });
            let remote = Remote::admin(server, config)?;
            let answer = remote.call(Method::POST, PATH, Some(body)).await?;
            let shown = if server.json {
                out::line(format_args!("{answer}"))
            } else {
                note!("Key {}. It is shown only once:", word(&answer["id"]));
                out::line(format_args!("{}", word(&answer["key"])))
            };
            if !shown {
                return lost(&remote, &word(&answer["id"])).await;
            }
        }
        Verb::Revoke { server, id } => {
            let path = format!("{PATH}/{}/revoke", segment(id));
            let answer = Remote::admin(server, config)?.call(Method::POST, &path, None).await?;
            show(server, &answer, || format!("Key {} is revoked.\n", text::plain(id, 40)));
        }
    }
    Ok(Exit::Done)
}

/// Revokes a key that could not be shown: nobody can use it, but it could leak.
async fn lost(remote: &Remote, id: &str) -> Result<Exit> {
    let path = format!("{PATH}/{}/revoke", segment(id));
    let revoked = remote.call(Method::POST, &path, None).await;
    let why = "standard output cannot be written to, so the new key could not be shown";
    Err(match revoked {
        Ok(_) => exit::error(Exit::Failed, format!("{why}: it was revoked")),
        Err(error) => error.context(format!("{why}; revoke it with `hubferry keys revoke {id}`")),
    })
}
