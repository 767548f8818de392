//! Commands that talk to a running server, one file for each noun, and their HTTP client.

pub(super) mod audit;
pub(super) mod errors;
pub(super) mod keys;
pub(super) mod logs;
pub(super) mod queue;
pub(super) mod records;
pub(super) mod rows;
pub(super) mod settings;
pub(super) mod status;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::exit::{self, Exit};
use super::text::{self, plain};
use super::{ServerArgs, out};
use crate::config::{Config, ConfigError};
use crate::hubspot::client::build;

/// How to reach a running server as the application does.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct IngestArgs {
    /// The server's address (default: where the settings listen)
    #[arg(long, value_name = "URL", env = "HUBFERRY_URL")]
    pub(in crate::cli) url: Option<String>,
    /// Its ingest key
    #[arg(long, value_name = "KEY", env = "HUBFERRY_INGEST_KEY", hide_env_values = true)]
    pub(in crate::cli) key: Option<String>,
}

/// An HTTP client without surprises, for addresses like `url`.
pub(in crate::cli) fn client(timeout: Duration, url: &str) -> Result<reqwest::Client> {
    let settings = || reqwest::Client::builder().timeout(timeout).no_proxy();
    Ok(build(url, settings)?)
}

/// Which part of a list.
#[derive(Debug, Clone, Args)]
pub(in crate::cli) struct PageArgs {
    /// The most entries to show
    #[arg(long, default_value_t = 50, value_name = "ENTRIES", value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// Show the part of the list that this cursor of an earlier answer leads to
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

impl PageArgs {
    /// The parameters of the query.
    fn query(&self) -> [(&'static str, Option<String>); 2] {
        [("limit", Some(self.limit.to_string())), ("cursor", self.cursor.clone())]
    }
}

/// Returns `path` with those of `query` that have a value.
fn path<const N: usize>(path: &str, query: [(&str, Option<String>); N]) -> String {
    let pairs = query.into_iter().filter_map(|(key, value)| Some((key, value?)));
    let pairs: Vec<String> =
        pairs.map(|(key, value)| format!("{key}={}", segment(&value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Prints the answer as it is, or as `text`.
fn show(server: &ServerArgs, answer: &Value, text: impl FnOnce() -> String) {
    if server.json {
        out::print(format_args!("{answer}\n"));
    } else {
        out::print(format_args!("{}", text()));
    }
}

/// Prints a list: a line with the names of the columns, and a line for each entry.
fn list<const N: usize>(
    server: &ServerArgs,
    answer: &Value,
    head: [&str; N],
    cells: impl Fn(&Value) -> [String; N],
) {
    show(server, answer, || {
        let items = answer["items"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(items.iter().map(|item| cells(item).to_vec()));
        text::table(&rows)
    });
    if let (false, Some(cursor)) = (server.json, answer["next_cursor"].as_str()) {
        out::hint_line(format_args!("There are more: add --cursor {cursor}"));
    }
}

/// The text of a member, in one line.
fn word(value: &Value) -> String {
    match value {
        Value::Null => "–".into(),
        Value::String(word) => plain(word, 100),
        other => plain(&other.to_string(), 100),
    }
}

/// A time to the minute.
fn minute(value: &Value) -> String {
    word(value).chars().take(16).collect()
}

/// Parses a time as the server does.
fn instant(text: &str) -> Result<String, String> {
    chrono::DateTime::parse_from_rfc3339(text)
        .map(|_| text.to_owned())
        .map_err(|_| "use a time such as 2026-11-20T10:00:00Z".into())
}

/// No call of the command line takes longer; the server itself gives up after a minute.
const LONGEST_CALL: Duration = Duration::from_secs(65);

/// A server and a key.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Remote {
    client: reqwest::Client,
    url: String,
    key: SecretString,
}

impl Remote {
    /// With the admin key.
    pub(in crate::cli) fn admin(args: &ServerArgs, config: &Config) -> Result<Self> {
        let configured = config.server.admin_key.clone();
        let key = args.key.clone().map(SecretString::from).or(configured);
        let key = key.ok_or_else(|| missing("HUBFERRY_ADMIN_KEY", "admin"))?;
        Self::new(args.url.as_deref(), key, config)
    }

    /// With the ingest key, or else the admin key.
    pub(in crate::cli) fn ingest(args: &IngestArgs, config: &Config) -> Result<Self> {
        let server = &config.server;
        let configured = server.ingest_key.clone().or_else(|| server.admin_key.clone());
        let key = args.key.clone().map(SecretString::from).or(configured);
        let key = key.ok_or_else(|| missing("HUBFERRY_INGEST_KEY", "ingest"))?;
        Self::new(args.url.as_deref(), key, config)
    }

    fn new(url: Option<&str>, key: SecretString, config: &Config) -> Result<Self> {
        let url = url.map_or_else(|| format!("http://{}", config.server.listen), str::to_owned);
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(exit::wrong(format!("--url {url}: must begin with http:// or https://")));
        }
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self { client: client(LONGEST_CALL, &url)?, url, key })
    }

    /// A server that is never asked.
    #[cfg(test)]
    pub(in crate::cli) fn for_tests() -> Self {
        let client = client(LONGEST_CALL, "").unwrap();
        Self { client, url: String::new(), key: SecretString::from(String::new()) }
    }

    /// The server's address.
    pub(in crate::cli) fn url(&self) -> &str {
        &self.url
    }

    /// A request with the key.
    pub(in crate::cli) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(self.key.expose_secret())
    }

    /// Calls `path` and answers the JSON body.
    pub(in crate::cli) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let mut request = self.request(method, path);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = request.send().await.map_err(|_| self.silent())?;
        let status = reply.status();
        let body = reply.json().await.map_err(|_| self.stranger(status))?;
        if status.is_success() { Ok(body) } else { Err(self.refused(status, &body)) }
    }

    /// The error where nothing answers.
    pub(in crate::cli) fn silent(&self) -> anyhow::Error {
        let message = format!("no server answers at {}: name it with --url", self.url);
        exit::error(Exit::Unanswered, message)
    }

    /// The error where something else answers.
    pub(in crate::cli) fn stranger(&self, status: StatusCode) -> anyhow::Error {
        let message = format!("{} is not hubferry ({status}): name it with --url", self.url);
        exit::error(Exit::Unanswered, message)
    }

    /// The error of a refusal.
    pub(in crate::cli) fn refused(&self, status: StatusCode, problem: &Value) -> anyhow::Error {
        let detail = plain(problem["detail"].as_str().unwrap_or("no reason given"), 2_000);
        let (exit, way_out) = match status.as_u16() {
            401 | 403 => (Exit::Refused, ": give the right key with --key or in the environment"),
            502..=504 => (Exit::Unanswered, ""),
            400 => (Exit::Wrong, ""),
            _ => (Exit::Failed, ""),
        };
        // Wrong values of settings come one by one.
        let errors = problem["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        let faults: Vec<String> = errors.iter().take(MOST_FAULTS).map(fault).collect();
        let exit = if problem["code"] == "invalid_settings" { Exit::Wrong } else { exit };
        let faults = faults.concat();
        exit::error(exit, format!("{status}: {detail}{way_out}{faults}"))
    }
}

/// The most faults of a refused request that are shown.
const MOST_FAULTS: usize = 20;

/// One fault of a refused request, on a line of its own.
fn fault(fault: &Value) -> String {
    let text = |key: &str| plain(fault[key].as_str().unwrap_or_default(), 300);
    format!("\n  {}: {}", text("pointer"), text("detail"))
}

fn missing(key: &'static str, role: &str) -> ConfigError {
    let way_out =
        format!("give the {role} key of the running server with --key or in the environment");
    ConfigError::Missing { key, way_out }
}

/// `id` as one segment of a path, or one value of a query.
pub(in crate::cli) fn segment(id: &str) -> String {
    let mut text = String::with_capacity(id.len());
    for byte in id.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_segment_holds_nothing_that_a_path_or_a_query_means_something_by() {
        assert_eq!(super::segment("a/b c.é&=?"), "a%2Fb%20c%2E%C3%A9%26%3D%3F");
    }
}
