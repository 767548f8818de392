//! The HTTP client for a running server.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::ServerArgs;
use super::exit::{self, Exit};
use super::text::plain;
use crate::config::{Config, ConfigError};
use crate::hubspot::client::build;

/// How to reach a running server as the application does.
#[derive(Debug, Clone, Args)]
pub(super) struct DoorArgs {
    /// The server's address (default: where the settings listen)
    #[arg(long, value_name = "URL", env = "HUBFERRY_URL")]
    pub(super) url: Option<String>,
    /// Its ingest key
    #[arg(long, value_name = "KEY", env = "HUBFERRY_INGEST_KEY", hide_env_values = true)]
    pub(super) key: Option<String>,
}

/// An HTTP client without surprises, for addresses like `url`.
pub(super) fn client(timeout: Duration, url: &str) -> Result<reqwest::Client> {
    let settings = || reqwest::Client::builder().timeout(timeout).no_proxy();
    Ok(build(url, settings)?)
}

/// No call of the command line takes longer; the server itself gives up after a minute.
const LONGEST_CALL: Duration = Duration::from_secs(65);

/// A server and the key to one of its doors.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    client: reqwest::Client,
    url: String,
    key: SecretString,
}

impl Remote {
    /// The admin's door.
    pub(super) fn admin(args: &ServerArgs, config: &Config) -> Result<Self> {
        let configured = config.server.admin_key.clone();
        let key = args.key.clone().map(SecretString::from).or(configured);
        let key = key.ok_or_else(|| missing("HUBFERRY_ADMIN_KEY", "admin"))?;
        Self::new(args.url.as_deref(), key, config)
    }

    /// The application's door. The admin key opens it too.
    pub(super) fn door(args: &DoorArgs, config: &Config) -> Result<Self> {
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
    pub(super) fn for_tests() -> Self {
        let client = client(LONGEST_CALL, "").unwrap();
        Self { client, url: String::new(), key: SecretString::from(String::new()) }
    }

    /// The server's address.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A request with the key.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.url));
        request.bearer_auth(self.key.expose_secret())
    }

    /// Calls `path` and answers the JSON body.
    pub(super) async fn call(
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
    pub(super) fn silent(&self) -> anyhow::Error {
        let message = format!("no server answers at {}: name it with --url", self.url);
        exit::error(Exit::Unanswered, message)
    }

    /// The error where something else answers.
    pub(super) fn stranger(&self, status: StatusCode) -> anyhow::Error {
        let message = format!("{} is not hubferry ({status}): name it with --url", self.url);
        exit::error(Exit::Unanswered, message)
    }

    /// The error of a refusal.
    pub(super) fn refused(&self, status: StatusCode, problem: &Value) -> anyhow::Error {
        let detail = plain(problem["detail"].as_str().unwrap_or("no reason given"), 2_000);
        let (exit, way_out) = match status.as_u16() {
            401 | 403 => (Exit::Refused, ": give the right key with --key or in the environment"),
            502..=504 => (Exit::Unanswered, ""),
            400 => (Exit::Wrong, ""),
            _ => (Exit::Failed, ""),
        };
        exit::error(exit, format!("{status}: {detail}{way_out}"))
    }
}

fn missing(key: &'static str, role: &str) -> ConfigError {
    let way_out =
        format!("give the {role} key of the running server with --key or in the environment");
    ConfigError::Missing { key, way_out }
}

/// `id` as one segment of a path, or one value of a query.
pub(super) fn segment(id: &str) -> String {
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
