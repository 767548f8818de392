//! `hubferry keys`: manages the keys of a running server.

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::exit::{self, Exit};
use super::remote::{Remote, segment};
use super::{ServerArgs, out, text};
use crate::cli::out::{note, say};
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry keys list\n  hubferry keys make 'billing backend' --role ingest\n  hubferry keys make 'night shift' --role operator --expires-in-days 90\n  hubferry keys revoke 7\n\nA key is shown once, when it is made; the server keeps a hash. Roles: ingest sends events, viewer sees\neverything, operator retries, pauses and resumes, admin changes settings and keys too."
)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show all keys, without the keys themselves
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Make a key and show it, once
    Make {
        #[command(flatten)]
        server: ServerArgs,
        /// What it is for
        name: String,
        /// What it may do
        #[arg(long, value_enum)]
        role: Role,
        /// When it ends by itself
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
        expires_in_days: Option<u32>,
    },
    /// Make a key useless, at once and for good
    Revoke {
        #[command(flatten)]
        server: ServerArgs,
        /// Its number, as `keys list` shows it
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

pub(super) async fn run(args: &KeysArgs, config: &Config) -> Result<Exit> {
    match &args.verb {
        Verb::List { server } => {
            let answer = Remote::admin(server, config)?.call(Method::GET, PATH, None).await?;
            if server.json {
                say!("{answer}");
            } else {
                out::print(format_args!("{}", table(&answer)));
            }
        }
        Verb::Make { server, name, role, expires_in_days } => {
            let body =
                json!({ "name": name, "role": role.as_str(), "expires_in_days": expires_in_days });
            let remote = Remote::admin(server, config)?;
            let answer = remote.call(Method::POST, PATH, Some(body)).await?;
            let shown = if server.json {
                out::line(format_args!("{answer}"))
            } else {
                note!("Key {}. It is shown only now:", word(&answer, "id"));
                out::line(format_args!("{}", word(&answer, "key")))
            };
            if !shown {
                return lost(&remote, &word(&answer, "id")).await;
            }
        }
        Verb::Revoke { server, id } => {
            let path = format!("{PATH}/{}/revoke", segment(id));
            let answer = Remote::admin(server, config)?.call(Method::POST, &path, None).await?;
            if server.json {
                say!("{answer}");
            } else {
                say!("key {id} opens nothing any more");
            }
        }
    }
    Ok(Exit::Done)
}

/// A key that nobody has seen is of no use to anybody but a thief.
async fn lost(remote: &Remote, id: &str) -> Result<Exit> {
    let path = format!("{PATH}/{}/revoke", segment(id));
    let revoked = remote.call(Method::POST, &path, None).await;
    let why = "standard output takes no text, so the new key could not be shown";
    Err(match revoked {
        Ok(_) => exit::error(Exit::Failed, format!("{why}: it was revoked")),
        Err(error) => error.context(format!("{why}; revoke it with `hubferry keys revoke {id}`")),
    })
}

fn word(value: &Value, key: &str) -> String {
    match &value[key] {
        Value::Null => "–".into(),
        Value::String(word) => text::plain(word, 100),
        other => other.to_string(),
    }
}

fn table(answer: &Value) -> String {
    let head = ["id", "name", "begins", "role", "state", "made", "by", "ends", "last used"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for key in answer["items"].as_array().into_iter().flatten() {
        let day = |name: &str| word(key, name).chars().take(16).collect::<String>();
        rows.push(vec![
            word(key, "id"),
            word(key, "name"),
            word(key, "prefix"),
            word(key, "role"),
            word(key, "state"),
            day("created_at"),
            word(key, "created_by"),
            day("expires_at"),
            day("last_used_at"),
        ]);
    }
    text::table(&rows)
}
