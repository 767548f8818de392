//! `hubferry settings`: the settings that can change while the service runs.

use std::collections::BTreeMap;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Remote, show, word};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::cli::text::table;
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry settings list\n  hubferry settings set retry.max_retries=5 worker.enabled=false\n  hubferry settings reset retry.max_retries\n\nA change is stored in the database and applies to all processes at once, without a restart."
)]
pub(in crate::cli) struct SettingsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the settings in force, and where each value comes from
    #[command(
        after_help = "Examples:\n  hubferry settings list\n  hubferry settings list --json | jq '.settings[] | {key, value}'"
    )]
    List {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Store values, all of them or none
    #[command(
        after_help = "Examples:\n  hubferry settings set retry.max_retries=5 worker.enabled=false\n  hubferry settings set 'ingest.priorities={\"user.*\": \"high\"}'"
    )]
    Set {
        #[command(flatten)]
        server: ServerArgs,
        /// KEY=VALUE, where the value is a number, true, false, a word or a JSON object
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = assignment)]
        values: Vec<(String, Value)>,
    },
    /// Remove stored values, so that those of the file, the environment or the defaults apply
    #[command(after_help = "Example:\n  hubferry settings reset retry.max_retries")]
    Reset {
        #[command(flatten)]
        server: ServerArgs,
        /// The keys, as `settings list` shows them
        #[arg(required = true, value_name = "KEY")]
        keys: Vec<String>,
    },
}

/// Parses `KEY=VALUE`. A value that is no JSON is a word.
fn assignment(text: &str) -> Result<(String, Value), String> {
    let (key, value) = text.split_once('=').ok_or("use KEY=VALUE")?;
    let value = value.trim();
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    if value.is_null() {
        return Err(format!("use `hubferry settings reset {}`", key.trim()));
    }
    Ok((key.trim().to_owned(), value))
}

const PATH: &str = "/admin/sync/settings";

pub(in crate::cli) async fn run(args: &SettingsArgs, config: &Config) -> Result<Exit> {
    let (server, changes): (_, BTreeMap<&str, &Value>) = match &args.verb {
        Verb::List { server } => {
            let answer = Remote::admin(server, config)?.call(Method::GET, PATH, None).await?;
            show(server, &answer, || shown(&answer, |_| true));
            return Ok(Exit::Done);
        }
        Verb::Set { server, values } => {
            (server, values.iter().map(|(key, value)| (key.as_str(), value)).collect())
        }
        Verb::Reset { server, keys } => {
            (server, keys.iter().map(|key| (key.as_str(), &Value::Null)).collect())
        }
    };
    let body = json!({ "settings": changes });
    let answer = Remote::admin(server, config)?.call(Method::PUT, PATH, Some(body)).await?;
    show(server, &answer, || shown(&answer, |key| changes.contains_key(key)));
    Ok(Exit::Done)
}

/// The settings whose key is wanted, as a table.
fn shown(answer: &Value, wanted: impl Fn(&str) -> bool) -> String {
    let mut rows = vec![["key", "value", "unit", "from", "what it does"].map(str::to_owned).into()];
    for setting in answer["settings"].as_array().into_iter().flatten() {
        if setting["key"].as_str().is_some_and(&wanted) {
            let cells = ["key", "value", "unit", "source", "description"];
            rows.push(cells.map(|cell| word(&setting[cell])).to_vec());
        }
    }
    table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_json_or_a_word() {
        let read = |text| assignment(text).unwrap().1;
        assert_eq!(read("a=5"), json!(5));
        assert_eq!(read("a = true"), json!(true));
        assert_eq!(read("a=ask"), json!("ask"));
        assert_eq!(read("a={\"user.*\":\"high\"}"), json!({ "user.*": "high" }));
        assert!(assignment("a").is_err() && assignment("a=null").is_err());
    }
}
