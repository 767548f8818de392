//! The HTTP client: one try a call, with a time-out, and every end of it named.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::classify::{Class, Failure, Headers, classify};
use super::paths::Version;

/// The largest reply that is read: a full batch with all its properties is far below.
const LONGEST_REPLY: usize = 32 * 1024 * 1024;
/// No connection takes longer to be made.
const LONGEST_CONNECT: Duration = Duration::from_secs(5);

/// How to reach HubSpot.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Such as `https://api.hubapi.com`.
    pub api_url: String,
    /// The oldest version of TLS that is spoken.
    pub min_tls: Tls,
    /// The version in the paths.
    pub version: Version,
    /// The access token.
    pub token: SecretString,
    /// From send to the end of the reply; see [`Client::within`].
    pub timeout: Duration,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// 1.2, for proxies that know no better.
    V1_2,
    /// 1.3.
    V1_3,
}

/// Whether `url` leads to this machine, as in tests.
#[must_use]
pub fn is_local(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| match url.host_str() {
        Some("localhost" | "[::1]") => true,
        Some(host) => host.parse().is_ok_and(|ip: std::net::Ipv4Addr| ip.is_loopback()),
        None => false,
    })
}

/// Why no HTTP client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// An address with https, and nothing to check the other side by.
    #[error(
        "https needs CA certificates, and none were found: install the package ca-certificates, or \
         name a file of them with SSL_CERT_FILE"
    )]
    NoCertificates,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] reqwest::Error),
}

/// The client that `settings` come to, for addresses like `url`. Without CA certificates on this
/// machine it speaks plain HTTP only.
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

/// A call, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The JSON body.
    pub body: Option<Value>,
    /// What it is for, such as `upsert contacts`; a log field.
    pub purpose: String,
    /// The object kind, where it has one.
    pub sync_type: Option<String>,
    /// Inputs in its body.
    pub inputs: usize,
}

impl Call {
    /// A call that reads.
    #[must_use]
    pub fn get(path: String, purpose: &str) -> Self {
        let purpose = purpose.to_owned();
        Self { method: Method::GET, path, body: None, purpose, sync_type: None, inputs: 0 }
    }

    /// A call that carries a body.
    #[must_use]
    pub fn post(path: String, purpose: String, body: Value, inputs: usize) -> Self {
        Self { method: Method::POST, path, body: Some(body), purpose, sync_type: None, inputs }
    }
}

/// How a call ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, if there was a reply.
    pub status: Option<u16>,
    /// The body of a 2xx (`null` when it is empty), or the classified failure.
    pub result: Result<Value, Failure>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// From send to the end of the reply.
    pub duration: Duration,
    /// What the reply's headers say of the quota.
    pub quota: Quota,
}

/// What a reply's headers say of the quota: limit and remainder of the window and of the day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// `X-HubSpot-RateLimit-Max` and `-Remaining`.
    pub window: Option<(i32, i32)>,
    /// `X-HubSpot-RateLimit-Daily` and `-Daily-Remaining`; absent for OAuth apps.
    pub day: Option<(i32, i32)>,
}

impl Answer {
    /// Whether HubSpot failed the call, or did not answer: what an outage looks like.
    #[must_use]
    pub fn failed(&self) -> bool {
        matches!(&self.result, Err(failure) if failure.class == Class::Unavailable)
    }
}

/// Whoever can send a call: the client itself, or one that keeps the quota's ledger.
pub trait Sender: Sync {
    /// Sends `call` once.
    fn send(&self, call: Call) -> impl Future<Output = Answer> + Send;
}

/// HubSpot's API, reached over HTTP.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Arc<Settings>,
    timeout: Duration,
}

/// Chooses the TLS backend of the process; the first choice stays.
pub fn install_tls() {
    // The only failure is that somebody chose before.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Client {
    /// A client with its own connection pool.
    ///
    /// # Errors
    /// When the TLS backend cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, ClientError> {
        let http = build(&settings.api_url, || {
            let http = reqwest::Client::builder();
            // No proxy leads back to this machine.
            let http = if is_local(&settings.api_url) { http.no_proxy() } else { http };
            http.user_agent(concat!("hubferry/", env!("CARGO_PKG_VERSION")))
                .tls_version_min(match settings.min_tls {
                    Tls::V1_2 => reqwest::tls::Version::TLS_1_2,
                    Tls::V1_3 => reqwest::tls::Version::TLS_1_3,
                })
                // Each call brings its own time-out, which ends a connection in the making too.
                .connect_timeout(LONGEST_CONNECT)
                // HubSpot closes idle connections; a pooled one that it has just closed costs a try.
                .pool_idle_timeout(Duration::from_secs(20))
                .redirect(reqwest::redirect::Policy::none())
        })?;
        Ok(Self { http, timeout: settings.timeout, settings: Arc::new(settings) })
    }

    /// The version in the paths.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.settings.version
    }

    /// The same client, the same connections, with another time-out.
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
            // Where the status alone decides, a lost body changes nothing.
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

/// JSON where it is JSON, a string for any other text, null for nothing. A 2xx that is cut, or no
/// object, is no verdict; nor is one without a body where its status promises one.
fn decode(status: StatusCode, bytes: &[u8]) -> Result<Value, Failure> {
    let broken = |message: &str| Failure::lost("BROKEN_REPLY", message.to_owned(), true);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return if matches!(status.as_u16(), 201 | 207) {
            Err(broken("the reply lacks its body"))
        } else {
            Ok(Value::Null)
        };
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.is_object() || !status.is_success() => Ok(value),
        _ if status.is_success() => Err(broken("the reply was cut off or is not JSON")),
        _ => Ok(Value::String(String::from_utf8_lossy(bytes).chars().take(2_000).collect())),
    }
}

fn speaks_for_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 423 | 429 | 477) || status.is_server_error()
}

/// No reply. Only a connection that was never made is sure to have written nothing.
fn lost(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure::lost("CONNECTION_REFUSED", "no connection to HubSpot could be made".into(), false)
    } else if error.is_timeout() {
        Failure::lost("TIMEOUT", "HubSpot did not answer within the time-out".into(), true)
    } else {
        Failure::lost(
            "CONNECTION_LOST",
            "the connection to HubSpot broke before its reply".into(),
            true,
        )
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
