//! Talking to a running server.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::ServerArgs;
use crate::config::{Config, ConfigError};

/// An HTTP client without surprises.
pub(super) fn client(timeout: Duration) -> Result<reqwest::Client> {
    crate::hubspot::client::install_tls();
    Ok(reqwest::Client::builder().timeout(timeout).no_proxy().build()?)
}

/// A server and the key to its admin door.
pub(super) struct Remote {
    client: reqwest::Client,
    url: String,
    key: String,
}

impl Remote {
    pub(super) fn new(args: &ServerArgs, config: &Config) -> Result<Self> {
        let configured = config.server.admin_key.as_ref().map(|k| k.expose_secret().to_owned());
        let key = args.key.clone().or(configured).ok_or(ConfigError::Missing {
            key: "HUBFERRY_ADMIN_KEY",
            way_out: "give the admin key of the running server with --key or in the environment"
                .into(),
        })?;
        let url = args.url.clone().unwrap_or_else(|| format!("http://{}", config.server.listen));
        Ok(Self {
            client: client(Duration::from_secs(60))?,
            url: url.trim_end_matches('/').into(),
            key,
        })
    }

    /// Calls `path` and answers the JSON body.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Value> {
        let mut request =
            self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let reply = request
            .send()
            .await
            .with_context(|| format!("no server answers at {}: name it with --url", self.url))?;
        let status = reply.status();
        let body: Value =
            reply.json().await.with_context(|| format!("{} is not hubferry", self.url))?;
        if !status.is_success() {
            bail!("{status}: {}", body["detail"].as_str().unwrap_or("no reason given"));
        }
        Ok(body)
    }
}
