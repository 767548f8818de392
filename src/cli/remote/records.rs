//! `hubferry records`: looks at records, sends them again, and lifts erasures.

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::{PageArgs, Remote, list, minute, path, segment, show, word};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::cli::text::{plain, table};
use crate::config::Config;

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry records list --type contact --state uncertain\n  hubferry records show contact u-1001\n  hubferry records resync contact u-1001\n  hubferry records allow contact u-1001"
)]
pub(in crate::cli) struct RecordsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List records, newest first
    #[command(
        after_help = "Examples:\n  hubferry records list --type contact --state waiting\n  hubferry records list --search u-1001"
    )]
    List {
        #[command(flatten)]
        server: ServerArgs,
        /// Only one object kind, such as contact
        #[arg(long = "type", value_name = "KIND")]
        sync_type: Option<String>,
        /// linked, unlinked, waiting, uncertain, merged, deleted or erased
        #[arg(long, value_name = "STATE")]
        state: Option<String>,
        /// An external id or a HubSpot id
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// Show a record: its link, its associations and its rows
    #[command(
        after_help = "Examples:\n  hubferry records show contact u-1001\n  hubferry records show contact u-1001 --json | jq .accepted\n\nValues are shown only with --json, and the audit names who read them."
    )]
    Show(One),
    /// Send all known values of a record again, whatever HubSpot has accepted
    #[command(after_help = "Example:\n  hubferry records resync contact u-1001")]
    Resync(One),
    /// Lift an erasure, so that events of this subject are accepted again
    #[command(after_help = "Example:\n  hubferry records allow contact u-1001")]
    Allow(One),
}

/// Names one record.
#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    server: ServerArgs,
    /// The object kind, such as contact
    #[arg(value_name = "KIND")]
    sync_type: String,
    /// The application's id
    #[arg(value_name = "EXTERNAL-ID")]
    external_id: String,
}

const PATH: &str = "/admin/sync/records";

impl One {
    async fn call(&self, method: Method, verb: &str, config: &Config) -> Result<Value> {
        let (kind, id) = (segment(&self.sync_type), segment(&self.external_id));
        let remote = Remote::admin(&self.server, config)?;
        remote.call(method, &format!("{PATH}/{kind}/{id}{verb}"), None).await
    }
}

pub(in crate::cli) async fn run(args: &RecordsArgs, config: &Config) -> Result<Exit> {
    match &args.verb {
        Verb::List { server, sync_type, state, search, page } => {
            let [limit, cursor] = page.query();
            let (kind, q) = (("sync_type", sync_type.clone()), ("q", search.clone()));
            let query = [kind, ("state", state.clone()), q, limit, cursor];
            let remote = Remote::admin(server, config)?;
            let answer = remote.call(Method::GET, &path(PATH, query), None).await?;
            let head = ["type", "external id", "HubSpot id", "synced", "waits for"];
            list(server, &answer, head, |record| {
                [
                    word(&record["sync_type"]),
                    word(&record["external_id"]),
                    word(&record["hubspot_id"]),
                    minute(&record["synced_at"]),
                    word(&record["waiting_for"]),
                ]
            });
        }
        Verb::Show(one) => {
            let answer = one.call(Method::GET, "", config).await?;
            show(&one.server, &answer, || picture(&answer));
        }
        Verb::Resync(one) => {
            let answer = one.call(Method::POST, "/resync", config).await?;
            show(&one.server, &answer, || {
                "All values of the record are sent again as soon as its turn comes.\n".into()
            });
        }
        Verb::Allow(one) => {
            let answer = one.call(Method::POST, "/allow", config).await?;
            show(&one.server, &answer, || "Events of this subject are accepted again.\n".into());
        }
    }
    Ok(Exit::Done)
}

/// A record for people, without values.
fn picture(record: &Value) -> String {
    let mut facts = Vec::new();
    for (name, key) in [
        ("type", "sync_type"),
        ("external id", "external_id"),
        ("HubSpot id", "hubspot_id"),
        ("due", "due_at"),
        ("waits for", "waiting_for"),
        ("synced", "synced_at"),
        ("deleted", "deleted_at"),
        ("erased", "erased_at"),
        ("merged into", "merged_into"),
        ("adopted", "adopted_at"),
    ] {
        if !record[key].is_null() {
            facts.push(vec![name.to_owned(), word(&record[key])]);
        }
    }
    let properties = record["accepted"].as_object().into_iter().flatten();
    let properties: Vec<&str> = properties.map(|(name, _)| name.as_str()).collect();
    if !properties.is_empty() {
        facts.push(vec!["properties".to_owned(), plain(&properties.join(", "), 500)]);
    }
    let mut text = table(&facts);
    for slot in record["associations"].as_array().into_iter().flatten() {
        let (name, state) = (word(&slot["slot"]), word(&slot["state"]));
        let target = format!("{} {}", word(&slot["target_type"]), word(&slot["target"]));
        text.push_str(&format!("association  {name} to {target}: {state}\n"));
    }
    let rows = record["rows"].as_array().into_iter().flatten();
    let rows: Vec<Vec<String>> = rows.map(super::rows::cells).collect();
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", table(&rows)));
    }
    text
}
