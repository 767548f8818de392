//! `hubferry rows`: looks at rows, retries and discards failed ones, and confirms erasures.

mod act;

use anyhow::Result;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{PageArgs, Remote, instant, list, minute, path, segment, show, word};
use crate::cli::ServerArgs;
use crate::cli::exit::Exit;
use crate::cli::text::{plain, table};
use crate::config::Config;
use crate::operator::rows::Verb as Action;
use act::{ActArgs, ConfirmArgs};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry rows list --status failed --type contact\n  hubferry rows show 41\n  hubferry rows retry --error-code INVALID_OPTION --dry-run\n  hubferry rows discard 41 42\n\nA row is one event that has to reach one HubSpot record."
)]
pub(in crate::cli) struct RowsArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List rows, newest first
    #[command(
        after_help = "Examples:\n  hubferry rows list --status failed\n  hubferry rows list --search marie@company.fr\n  hubferry rows list --since 2026-11-20T10:00:00Z --limit 500 --json"
    )]
    List(ListArgs),
    /// Show a row: why it waits, its attempts and its record
    #[command(
        after_help = "Examples:\n  hubferry rows show 41\n  hubferry rows show 41 --json | jq .payload\n\nThe payload is shown only with --json, and the audit names who read it."
    )]
    Show {
        #[command(flatten)]
        server: ServerArgs,
        /// The number of the row
        #[arg(value_name = "ROW")]
        row: String,
    },
    /// Retry failed rows; their retry counts start again
    #[command(
        after_help = "Examples:\n  hubferry rows retry 41 42\n  hubferry rows retry --error-code INVALID_OPTION --type contact --dry-run\n  hubferry rows retry --since 2026-11-20T10:00:00Z --until 2026-11-20T12:00:00Z\n  hubferry rows retry --all --yes\n\nDiscarded rows are restored with `retry` and their numbers, one by one."
    )]
    Retry(ActArgs),
    /// Discard failed rows: HubSpot does not get what they bring
    #[command(
        after_help = "Examples:\n  hubferry rows discard 41 42\n  hubferry rows discard --error-code INVALID_OPTION --type contact --dry-run\n  hubferry rows discard --all --yes\n\nA discarded row is restored with `hubferry rows retry ROW` for as long as its event is kept."
    )]
    Discard(ActArgs),
    /// Erase records that HubSpot had before hubferry, whose erasure failed with ADOPTED_RECORD
    #[command(
        after_help = "Examples:\n  hubferry rows confirm-erasure 41\n  hubferry rows confirm-erasure 41 42 --yes\n\nThe records are erased in HubSpot for good. This cannot be undone."
    )]
    ConfirmErasure(ConfirmArgs),
}

/// Which rows.
#[derive(Debug, Clone, Args)]
struct Filters {
    /// Rows of one object kind, such as contact
    #[arg(long = "type", value_name = "KIND")]
    sync_type: Option<String>,
    /// Rows of events of one type, such as user.updated
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Rows of one external id
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Rows with one error code
    #[arg(long, value_name = "CODE")]
    error_code: Option<String>,
    /// Rows with one property at fault; an empty text: none
    #[arg(long, value_name = "NAME")]
    error_property: Option<String>,
    /// Rows of one priority: high, normal or low
    #[arg(long, value_name = "PRIORITY")]
    priority: Option<String>,
    /// Rows accepted at or after this time, such as 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<String>,
    /// Rows accepted before this time
    #[arg(long, value_name = "TIME", value_parser = instant)]
    until: Option<String>,
    /// Rows that a search finds: an external id, an event id, an e-mail address or words of an error
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
}

impl Filters {
    /// The filters in the words of the server.
    fn pairs(&self) -> [(&'static str, Option<String>); 9] {
        [
            ("sync_type", self.sync_type.clone()),
            ("event_type", self.event_type.clone()),
            ("external_id", self.external_id.clone()),
            ("error_code", self.error_code.clone()),
            ("error_property", self.error_property.clone()),
            ("priority", self.priority.clone()),
            ("since", self.since.clone()),
            ("until", self.until.clone()),
            ("q", self.search.clone()),
        ]
    }

    fn are_set(&self) -> bool {
        self.pairs().iter().any(|(_, value)| value.is_some())
    }

    fn body(&self) -> Value {
        let set = self.pairs().into_iter().filter_map(|(key, value)| Some((key, json!(value?))));
        set.map(|(key, value)| (key.to_owned(), value)).collect::<serde_json::Map<_, _>>().into()
    }
}

#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// pending, processing, synced, retry or failed
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    page: PageArgs,
}

const PATH: &str = "/admin/sync/queue";

pub(in crate::cli) async fn run(args: &RowsArgs, config: &Config) -> Result<Exit> {
    match &args.verb {
        Verb::List(args) => {
            let [a, b, c, d, e, f, g, h, i] = args.filters.pairs();
            let ([limit, cursor], status) = (args.page.query(), ("status", args.status.clone()));
            let query = [status, a, b, c, d, e, f, g, h, i, limit, cursor];
            let remote = Remote::admin(&args.server, config)?;
            let answer = remote.call(Method::GET, &path(PATH, query), None).await?;
            let head = ["row", "type", "external id", "event", "status", "accepted", "why"];
            list(&args.server, &answer, head, |row| {
                let [id, kind, external, event, status, why] = six(row);
                [id, kind, external, event, status, minute(&row["created_at"]), why]
            });
            Ok(Exit::Done)
        }
        Verb::Show { server, row } => {
            let remote = Remote::admin(server, config)?;
            let at = format!("{PATH}/{}", segment(row));
            let answer = remote.call(Method::GET, &at, None).await?;
            show(server, &answer, || picture(&answer));
            Ok(Exit::Done)
        }
        Verb::Retry(args) => act::run(Action::Retry, args, config).await,
        Verb::Discard(args) => act::run(Action::Discard, args, config).await,
        Verb::ConfirmErasure(args) => act::confirm_erasure(args, config).await,
    }
}

/// A row in one line: number, kind, external id, event, status, and why.
fn six(row: &Value) -> [String; 6] {
    let why = match (&row["error"]["code"], &row["error"]["message"]) {
        (Value::Null, _) => word(&row["waiting_for"]),
        (code, Value::Null) => word(code),
        (code, message) => format!("{}: {}", word(code), word(message)),
    };
    let status =
        if row["discarded_at"].is_null() { word(&row["status"]) } else { "discarded".into() };
    let (kind, event) = (word(&row["sync_type"]), word(&row["event_type"]));
    [word(&row["id"]), kind, word(&row["external_id"]), event, status, why]
}

/// A row in one line of a table.
pub(super) fn cells(row: &Value) -> Vec<String> {
    six(row).to_vec()
}

/// A row for people, without its payload.
fn picture(row: &Value) -> String {
    let mut facts = Vec::new();
    for (name, key) in [
        ("row", "id"),
        ("status", "status"),
        ("type", "sync_type"),
        ("external id", "external_id"),
        ("event", "event_type"),
        ("event id", "event_id"),
        ("source", "source"),
        ("priority", "priority"),
        ("happened", "occurred_at"),
        ("accepted", "created_at"),
        ("due", "scheduled_at"),
        ("done", "processed_at"),
        ("discarded", "discarded_at"),
        ("retries", "retry_count"),
    ] {
        if !row[key].is_null() {
            facts.push(vec![name.to_owned(), word(&row[key])]);
        }
    }
    let mut text = table(&facts);
    let error = &row["error"];
    if !error.is_null() {
        let line = |key: &str| plain(error[key].as_str().unwrap_or_default(), 500);
        text.push_str(&format!("\nerror    {}: {}\n", line("code"), line("message")));
        if error["hint"].is_string() {
            text.push_str(&format!("to do    {}\n", line("hint")));
        }
    }
    for why in row["why"].as_array().into_iter().flatten() {
        text.push_str(&format!("why      {}\n", plain(why["text"].as_str().unwrap_or(""), 500)));
    }
    let attempts: Vec<Vec<String>> = row["attempts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|attempt| {
            vec![
                "attempt".to_owned(),
                word(&attempt["attempted_at"]).chars().take(19).collect(),
                word(&attempt["code"]),
                word(&attempt["message"]),
            ]
        })
        .collect();
    if !attempts.is_empty() {
        text.push_str(&format!("\n{}", table(&attempts)));
    }
    text
}
