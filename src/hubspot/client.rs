//! The HTTP client sends each call once, with a timeout, and names every way it can end.

mod reply;

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::classify::{Class, Failure, Headers, classify};
use super::paths::Version;
use reply::{decode, lost, speaks_for_itself};

/// The largest reply that is read. A full batch with all its properties is far smaller.
const LONGEST_REPLY: usize = 32 * 1024 * 1024;
/// The timeout for making a connection.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// How to reach HubSpot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address of the API, such as `https://api.hubapi.com`.
    pub api_url: String,
    /// The oldest TLS version to use.
    pub min_tls: Tls,
    /// The API version in the paths.
    pub version: Version,
    /// The access token.
    pub token: SecretString,
    /// The timeout from sending to the end of the reply; see [`Client::within`].
    pub timeout: Duration,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// TLS 1.2, for proxies that do not support 1.3.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// Whether `url` points to this machine, as in tests.
#[must_use]
pub fn is_local(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()),
        None => false,
    })
}

/// Why the HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address uses https, but there are no CA certificates to verify the server with.
    #[error(
        "https needs CA certificates, and none were found: install the package ca-certificates, or \
         name a file of them with SSL_CERT_FILE"
    )]
    NoCertificates,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// Builds the client for `settings` and addresses like `url`. Without CA certificates on this
/// machine it supports plain HTTP only.
///
/// # Errors
/// [`ClientError`].
pub fn build(
    url: &str,
    settings: impl Fn() -> reqwest::ClientBuilder,
) -> Result<reqwest::Client, ClientError> {
    install_tls();
    settings().build().or_else(|error| match settings().tls_certs_only([]).build() {
        Ok(plain) if url.starts_with("http://") => Ok(plain),
        Ok(_) => Err(ClientError::NoCertificates),
        Err(_) => Err(ClientError::Tls(error)),
    })
}

/// A call that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
    /// What the call is for, such as `upsert contacts`. It is a log field.
    pub purpose: String,
    /// The object kind, if the call has one.
    pub sync_type: Option<String>,
    /// The number of inputs in the body.
    pub inputs: usize,
}

impl Call {
    /// Makes a call that reads.
    #[must_use]
    pub fn get(path: String, purpose: &str) -> Self {
        let purpose = purpose.to_owned();
        Self { method: Method::GET, path, body: None, purpose, sync_type: None, inputs: 0 }
    }

    /// Makes a call with a body.
    #[must_use]
    pub fn post(path: String, purpose: String, body: Value, inputs: usize) -> Self {
        Self { method: Method::POST, path, body: Some(body), purpose, sync_type: None, inputs }
    }
}

/// The result of a call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, if there was a reply.
    pub status: Option<u16>,
    /// The body of a 2xx (`null` if empty), or the classified failure.
    pub result: Result<Value, Failure>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The time from sending to the end of the reply.
    pub duration: Duration,
    /// The limits in the reply's headers.
    pub quota: Quota,
}

/// The limits in a reply's headers: limit and remaining calls of the window and of the day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// `X-HubSpot-RateLimit-Max` and `-Remaining`.
    pub window: Option<(i32, i32)>,
    /// `X-HubSpot-RateLimit-Daily` and `-Daily-Remaining`. OAuth apps do not get them.
    pub day: Option<(i32, i32)>,
}

impl Answer {
    /// Whether HubSpot failed or did not answer, as in an outage.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(&self.result, Err(failure) if failure.class == Class::Unavailable)
    }
}

/// Sends calls to HubSpot: either the client itself, or a wrapper that enforces the rate limit.
pub trait Sender: Sync {
    /// Sends `call` once.
    fn send(&self, call: Call) -> impl Future<Output = Answer> + Send;
}

/// HubSpot's API over HTTP.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Arc<Settings>,
    timeout: Duration,
}

/// Installs the TLS backend of the process. Only the first call has an effect.
pub fn install_tls() {
    // The only possible failure is that a backend is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    /// Makes a client with its own connection pool.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let http = build(&settings.api_url, || {
            let http = reqwest::Client::builder();
            // A proxy cannot reach this machine.
            let http = if is_local(&settings.api_url) { http.no_proxy() } else { http };
            http.user_agent(concat!("hubferry/", env!("CARGO_PKG_VERSION")))
                .tls_version_min(match settings.min_tls {
                    Tls::V1_2 => reqwest::tls::Version::TLS_1_2,
                    Tls::V1_3 => reqwest::tls::Version::TLS_1_3,
                })
                // Each call sets its own timeout, which also covers making a connection.
                .connect_timeout(LONGEST_CONNECT)
                // HubSpot closes idle connections. Using one that it has just closed would cost a
                // retry.
                .pool_idle_timeout(Duration::from_secs(20))
                .redirect(reqwest::redirect::Policy::none())
        })?;
        Ok(Self { http, timeout: settings.timeout, settings: Arc::new(settings) })
    }

    /// The API version in the paths.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.settings.version
    }

    /// Returns the same client with the same connections and another timeout.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    async fn exchange(&self, call: Call) -> Result<(u16, Headers, Quota, Value), Failure> {
        let url = format!("{}{}", self.settings.api_url.trim_end_matches('/'), call.path);
        let mut request =
            self.http.request(call.method, url).bearer_auth(self.settings.token.expose_secret());
        request = request.timeout(self.timeout);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let mut reply = request.send().await.map_err(|e| lost(&e))?;
        let status = reply.status();
        let headers =
            Headers::read(|name| reply.headers().get(name).and_then(|value| value.to_str().ok()));
        let broken = |mut failure: Failure| {
            failure.http_status = Some(status.as_u16());
            failure.correlation_id = headers.correlation_id.clone();
            // If the status alone decides the result, a lost body changes nothing.
            if speaks_for_itself(status) {
                failure = classify(status.as_u16(), &headers, &Value::Null);
            }
            failure
        };
        let number = |name: &str| reply.headers().get(name)?.to_str().ok()?.parse::<i32>().ok();
        let pair = |limit: &str, left: &str| number(limit).zip(number(left));
        let quota = Quota {
            window: pair("x-hubspot-ratelimit-max", "x-hubspot-ratelimit-remaining"),
            day: pair("x-hubspot-ratelimit-daily", "x-hubspot-ratelimit-daily-remaining"),
        };
        let mut bytes = Vec::new();
        while let Some(chunk) = reply.chunk().await.map_err(|e| broken(lost(&e)))? {
            if bytes.len() + chunk.len() > LONGEST_REPLY {
                let message = "the reply was longer than 32 MiB".to_owned();
                return Err(broken(Failure::lost("REPLY_TOO_LONG", message, true)));
            }
            bytes.extend_from_slice(&chunk);
        }
        let body = decode(status, &bytes).map_err(broken)?;
        Ok((status.as_u16(), headers, quota, body))
    }
}

impl Sender for Client {
    async fn send(&self, call: Call) -> Answer {
        let started = Instant::now();
        let ended = self.exchange(call).await;
        let duration = started.elapsed();
        match ended {
            Ok((status, headers, quota, body)) => {
                let result = if (200..300).contains(&status) {
                    Ok(body)
                } else {
                    Err(classify(status, &headers, &body))
                };
                let correlation_id = match &result {
                    Err(failure) => failure.correlation_id.clone(),
                    Ok(_) => headers.correlation_id,
                };
                Answer { status: Some(status), result, correlation_id, duration, quota }
            }
            Err(failure) => Answer {
                status: failure.http_status,
                correlation_id: failure.correlation_id.clone(),
                result: Err(failure),
                duration,
                quota: Quota::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_this_machine_is_reached_past_a_proxy() {
        for url in
            ["http://127.0.0.1:80", "http://127.1.2.3/x", "http://[::1]:1", "http://localhost"]
        {
            assert!(is_local(url), "{url}");
        }
        for url in ["https://api.hubapi.com", "https://localhost.example", "https://128.0.0.1", "x"]
        {
            assert!(!is_local(url), "{url}");
        }
    }
}
