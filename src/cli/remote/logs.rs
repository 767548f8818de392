//! `hubferry logs`: shows calls to HubSpot and failed attempts, past ones or live.

mod line;
mod stream;

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use anyhow::Result;
use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use clap::{Args, ValueEnum};
use futures_util::StreamExt as _;
use reqwest::{Method, header};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::{Remote, segment};
use crate::cli::exit::Exit;
use crate::cli::out::note;
use crate::cli::{ServerArgs, stop_signal};
use crate::config::Config;
use line::print;
use stream::{Message, Parser};

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hubferry logs --limit 20\n  hubferry logs --status 4xx,5xx --type contact\n  hubferry logs --follow --json | jq -r 'select(.kind == \"attempt\") | .code'\n\nA call is one request to HubSpot. An attempt is a delivery of a row that did not succeed. The newest come\nfirst; with --follow the last ones and then each new one, until Ctrl-C. A lost connection is restored."
)]
pub(in crate::cli) struct LogsArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// Continue with new lines, until Ctrl-C
    #[arg(long)]
    follow: bool,
    /// HTTP statuses, such as 429, 4xx or none (no reply), separated by commas
    #[arg(long, value_name = "STATUS", value_delimiter = ',', value_parser = status)]
    status: Vec<Wanted>,
    /// One object kind, such as contact
    #[arg(long = "type", value_name = "KIND")]
    sync_type: Option<String>,
    /// Calls or attempts only
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// One class, such as ok, unavailable or row_rejected
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// At or after this time, such as 2026-11-20T10:00:00Z
    #[arg(long, value_name = "TIME", value_parser = super::instant)]
    since: Option<String>,
    /// The most lines to show
    #[arg(long, default_value_t = 50, value_name = "LINES", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Call,
    Attempt,
}

/// A filter of HTTP statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    One(u64),
    Hundred(u64),
    None,
}

fn status(text: &str) -> Result<Wanted, String> {
    let wrong = || "use a status such as 429, or 4xx, 5xx, or none".to_owned();
    if text == "none" {
        return Ok(Wanted::None);
    }
    match text.to_ascii_lowercase().strip_suffix("xx") {
        Some(hundred) => hundred.parse().map(Wanted::Hundred).map_err(|_| wrong()),
        None => text.parse().map(Wanted::One).map_err(|_| wrong()),
    }
}

/// The largest page of the server.
const PAGE: u32 = 500;
/// The most pages that are read to find lines that only the client can filter.
const PAGES: usize = 200;
/// The most lines that are remembered, so that they are not printed twice.
const RECENT: usize = 2_000;
/// Heartbeats come more often than this.
const SILENCE: Duration = Duration::from_secs(60);

pub(in crate::cli) async fn run(args: &LogsArgs, config: &Config) -> Result<Exit> {
    let remote = Remote::admin(&args.server, config)?;
    if !args.follow {
        let past = past(args, &remote).await?;
        let _ = past.iter().all(|item| print(item, args.server.json));
        return Ok(Exit::Done);
    }
    let mut stopped = pin!(stop_signal());
    tokio::select! {
        followed = follow(args, &remote) => followed,
        () = &mut stopped => Ok(Exit::Interrupted),
    }
}

/// Returns past lines, newest first.
async fn past(args: &LogsArgs, remote: &Remote) -> Result<Vec<Value>> {
    let wanted = args.limit as usize;
    let (mut items, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..PAGES {
        let page = if args.status.is_empty() { args.limit.min(PAGE) } else { PAGE };
        let mut query = args.query();
        query.push(("limit", page.to_string()));
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let body = remote.call(Method::GET, &with_query("/admin/sync/logs", &query), None).await?;
        let found = body["items"].as_array().cloned().unwrap_or_default();
        items.extend(found.into_iter().filter(|item| args.shows(item)));
        cursor = body["next_cursor"].as_str().map(str::to_owned);
        if items.len() >= wanted || cursor.is_none() {
            break;
        }
    }
    items.truncate(wanted);
    Ok(items)
}

fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let pairs: Vec<String> =
        query.iter().map(|(key, value)| format!("{key}={}", segment(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Prints past and new lines until the server refuses the connection.
async fn follow(args: &LogsArgs, remote: &Remote) -> Result<Exit> {
    let path = with_query("/admin/sync/logs/stream", &args.query());
    let mut pauses = ExponentialBackoff {
        max_interval: Duration::from_secs(15),
        max_elapsed_time: None,
        ..ExponentialBackoff::default()
    };
    let mut told = Told::default();
    let mut away = None::<Instant>;
    loop {
        let mut request = remote
            .request(Method::GET, &path)
            .timeout(Duration::from_secs(3_600))
            .header(header::ACCEPT, "text/event-stream");
        if let Some(id) = &told.last_id {
            request = request.header("Last-Event-ID", id);
        }
        let reply = match timeout(SILENCE, request.send()).await {
            Ok(Ok(reply)) => Some(reply),
            Ok(Err(_)) | Err(_) if !told.begun => return Err(remote.silent()),
            Ok(Err(_)) | Err(_) => None,
        };
        if let Some(reply) = reply {
            let status = reply.status();
            if status.is_success() {
                if away.take().is_some() {
                    note!("connected again");
                }
                pauses.reset();
                if !told.begun {
                    // Read while the stream is open already: nothing falls between the two.
                    let past = past(args, remote).await?;
                    told.begun = true;
                    if !past.into_iter().rev().all(|item| told.tell(args, item)) {
                        return Ok(Exit::Done);
                    }
                }
                if !listen(args, reply, &mut told).await {
                    return Ok(Exit::Done);
                }
            } else if !told.begun || !matches!(status.as_u16(), 408 | 425 | 429 | 500..=504) {
                let body = reply.json().await.unwrap_or(Value::Null);
                return Err(remote.refused(status, &body));
            }
        }
        if away.is_none() {
            away = Some(Instant::now());
            note!("the connection to {} is lost; reconnecting", remote.url());
        }
        tokio::time::sleep(pauses.next_backoff().unwrap_or(SILENCE)).await;
    }
}

/// What has been printed already.
#[derive(Default)]
struct Told {
    begun: bool,
    /// Where to continue after a lost connection.
    last_id: Option<String>,
    /// The last lines, because some are repeated after a lost connection.
    recent: VecDeque<Value>,
}

impl Told {
    /// Prints `item`, unless it was printed before. `false`: the output is closed.
    fn tell(&mut self, args: &LogsArgs, item: Value) -> bool {
        if self.recent.contains(&item) {
            return true;
        }
        let read = print(&item, args.server.json);
        self.recent.push_back(item);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        read
    }
}

/// Prints the lines of a connection until it breaks. `false`: the output is closed.
async fn listen(args: &LogsArgs, reply: reqwest::Response, told: &mut Told) -> bool {
    let (mut bytes, mut parser) = (reply.bytes_stream(), Parser::default());
    while let Ok(Some(Ok(chunk))) = timeout(SILENCE, bytes.next()).await {
        for Message { id, data } in parser.push(&chunk) {
            let item = data.and_then(|data| serde_json::from_str::<Value>(&data).ok());
            if let Some(item) = item.filter(|item| args.shows(item))
                && !told.tell(args, item)
            {
                return false;
            }
            told.last_id = id.or(told.last_id.take());
        }
    }
    true
}

impl LogsArgs {
    /// The filters that the server knows.
    fn query(&self) -> Vec<(&'static str, String)> {
        let kind = self.kind.map(|kind| match kind {
            Kind::Call => "call".to_owned(),
            Kind::Attempt => "attempt".to_owned(),
        });
        [
            ("sync_type", self.sync_type.clone()),
            ("kind", kind),
            ("class", self.class.clone()),
            ("since", self.since.clone()),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?)))
        .collect()
    }

    fn shows(&self, item: &Value) -> bool {
        let status = item["http_status"].as_u64();
        let is = |wanted: &Wanted| match (wanted, status) {
            (Wanted::One(one), Some(status)) => status == *one,
            (Wanted::Hundred(hundred), Some(status)) => status / 100 == *hundred,
            (Wanted::None, status) => status.is_none(),
            (_, None) => false,
        };
        self.status.is_empty() || self.status.iter().any(is)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::line::line;
    use super::*;

    #[test]
    fn a_line_tells_what_there_is_and_steers_no_terminal() {
        let call = json!({ "kind": "call", "at": "2026-11-20T10:00:00.123456Z", "http_status": 207,
            "sync_type": "contact", "purpose": "upsert contacts", "inputs": 3, "duration_ms": 41,
            "class": "ok", "code": null, "message": null, "row_id": null });
        assert_eq!(
            line(&call),
            "2026-11-20T10:00:00.123 call     207 contact   upsert contacts  3 inputs  41 ms  ok"
        );
        let attempt =
            json!({ "kind": "attempt", "code": "TIMEOUT", "message": "\u{1b}[2J", "row_id": "7" });
        assert!(line(&attempt).contains("row 7") && !line(&attempt).contains('\u{1b}'));
        assert_eq!(status("4xx"), Ok(Wanted::Hundred(4)));
        assert!(status("x").is_err());
    }
}
