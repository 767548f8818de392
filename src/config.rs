//! The settings: defaults, a file, and the environment. Only this code reads the environment.
//!
//! Any wrong setting stops the start. The message names the key and says what to do.

mod environment;
mod error;
mod keys;
mod known;
mod live;
mod sections;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::TimeDelta;
use figment::Figment;
use figment::providers::{Format, Toml};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::http::IngestSettings;
use crate::hubspot;
use crate::settings::{Bounds, Source, Values};

pub use environment::Environment;
use environment::{Variable, environment_keys, parse};
pub use error::ConfigError;
use keys::good_key;
pub use sections::{Database, HubSpot, Ingest, Log, MappingFiles, Security, Server, Worker};

/// The default settings, with comments.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

fn invalid(key: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key, reason: reason.into() }
}

/// All settings.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Postgres.
    pub database: Database,
    /// HubSpot.
    pub hubspot: HubSpot,
    /// The workers that send to HubSpot.
    pub worker: Worker,
    /// How events are accepted.
    pub ingest: Ingest,
    /// The mapping files.
    #[serde(default)]
    pub mapping: MappingFiles,
    /// The log.
    pub log: Log,
    /// Encryption at rest.
    #[serde(default)]
    pub security: Security,
    /// The start values of the settings that can change while the service runs.
    #[serde(skip)]
    live: Values,
    /// Where each of those comes from. Compiled-in ones are left out.
    #[serde(skip)]
    sources: BTreeMap<&'static str, Source>,
}

impl Config {
    /// Loads the settings: defaults, then `file`, then `environment`.
    ///
    /// # Errors
    /// Names the key, where it was set, and what it should be.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        if let Some(name) = environment.unreadable() {
            return Err(ConfigError::Unreadable { name: name.to_owned() });
        }
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(path) = file {
            std::fs::read_to_string(path)
                .map_err(|e| ConfigError::File { path: path.to_owned(), reason: e.to_string() })?;
            figment = figment.merge(Toml::file_exact(path));
        }
        for (name, key) in environment_keys(environment) {
            let value = environment.get(&name).unwrap_or_default();
            figment = figment.merge(Variable { value: parse(&key, value), name, key });
        }
        let wrong = |error| ConfigError::Value(Box::new(error));
        known::check(&figment).map_err(wrong)?;
        let mut config: Self = figment.extract().map_err(wrong)?;
        config.live = Values::read(&live::Start(&figment)).map_err(wrong)?;
        config.sources = live::sources(&figment);
        config.check()?;
        Ok(config)
    }

    /// Checks rules between settings that hold for every subcommand.
    fn check(&self) -> Result<(), ConfigError> {
        self.check_live(&Bounds { event_types: None, can_send: true, ..self.bounds() })?;
        let positive: [(&'static str, u64); 6] = [
            ("server.head_seconds", self.server.head_seconds),
            ("server.stall_seconds", self.server.stall_seconds),
            ("worker.count", self.worker.count as u64),
            ("ingest.max_events", self.ingest.max_events as u64),
            ("ingest.max_body_bytes", self.ingest.max_body_bytes as u64),
            // One for the listener, those for storing, one for queries, and one for everything
            // else.
            ("database.max_connections", self.database.max_connections.saturating_sub(4).into()),
        ];
        for (key, value) in positive {
            if value == 0 {
                let least = if key == "database.max_connections" { 5 } else { 1 };
                return Err(invalid(key, format!("must be at least {least}")));
            }
        }
        let spans: [(&'static str, i64, std::ops::RangeInclusive<i64>); 4] = [
            ("worker.keep_calls_days", self.worker.keep_calls_days, 1..=3_650),
            ("worker.keep_audit_days", self.worker.keep_audit_days, 1..=3_650),
            ("worker.keep_done_days", self.worker.keep_done_days, 0..=36_500),
            ("ingest.max_ahead_seconds", self.ingest.max_ahead_seconds, 1..=86_400),
        ];
        for (key, value, span) in spans {
            if !span.contains(&value) {
                let (least, most) = span.into_inner();
                return Err(invalid(key, format!("must be between {least} and {most}")));
            }
        }
        let secrets = [
            ("DATABASE_URL", &self.database.url),
            ("database.direct_url", &self.database.direct_url),
            ("HUBSPOT_API_KEY", &self.hubspot.api_key),
            ("HUBFERRY_INGEST_KEY", &self.server.ingest_key),
            ("HUBFERRY_ADMIN_KEY", &self.server.admin_key),
        ];
        for (key, secret) in secrets {
            let text = secret.as_ref().map_or("", |secret| secret.expose_secret());
            if text.chars().any(char::is_control) {
                return Err(invalid(key, "holds a line break or another control character"));
            }
        }
        if !self.database.schema_is_a_name() {
            return Err(invalid(
                "database.schema",
                "must be the name of a schema: letters a to z, digits and underscores",
            ));
        }
        if self.ingest.max_bodies_bytes < self.ingest.max_body_bytes {
            let reason = "must be at least ingest.max_body_bytes, or no large body could be read";
            return Err(invalid("ingest.max_bodies_bytes", reason));
        }
        if !["auto", "text", "json"].contains(&self.log.format.as_str()) {
            return Err(invalid("log.format", "must be auto, text or json"));
        }
        let url = &self.hubspot.api_url;
        let here = url.starts_with("http://") && hubspot::client::is_local(url);
        if !url.starts_with("https://") && !here {
            let reason = "must begin with https://, or the token would be readable on its way; \
                          http:// is for a sandbox on this machine (HUBSPOT_API_URL)";
            return Err(invalid("hubspot.api_url", reason));
        }
        self.min_tls()?;
        let public = self.server.public_url.as_deref().unwrap_or("http://");
        if !public.starts_with("https://") && !public.starts_with("http://") {
            let reason =
                "must begin with https:// or http://, such as https://hubferry.example.com";
            return Err(invalid("server.public_url", reason));
        }
        self.hubspot
            .api_version
            .parse::<hubspot::paths::Version>()
            .map_err(|e| invalid("hubspot.api_version", format!("{e} (HUBSPOT_API_VERSION)")))?;
        Ok(())
    }

    /// Returns the oldest TLS version to use with HubSpot.
    fn min_tls(&self) -> Result<hubspot::client::Tls, ConfigError> {
        match self.hubspot.min_tls.as_str() {
            "1.3" => Ok(hubspot::client::Tls::V1_3),
            "1.2" => Ok(hubspot::client::Tls::V1_2),
            _ => Err(invalid("hubspot.min_tls", "must be \"1.3\" or \"1.2\"")),
        }
    }

    /// Whether people and applications reach the server by https.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.server.public_url.as_deref().is_some_and(|url| url.starts_with("https://"))
    }

    /// Checks everything that `serve` needs and that has no default.
    ///
    /// # Errors
    /// Names everything that is missing or wrong at once.
    pub fn ready(&self) -> Result<(), ConfigError> {
        let looked = [
            self.database_url().err(),
            good_key("HUBFERRY_INGEST_KEY", &self.server.ingest_key).err(),
            good_key("HUBFERRY_ADMIN_KEY", &self.server.admin_key).err(),
            self.hubspot().err(),
        ];
        let mut wrong: Vec<ConfigError> = looked.into_iter().flatten().collect();
        match wrong.len() {
            0 => self.keys().map(drop),
            1 => Err(wrong.remove(0)),
            _ => Err(ConfigError::Several(wrong)),
        }
    }

    /// Returns the address of Postgres.
    ///
    /// # Errors
    /// When it is not set.
    pub fn database_url(&self) -> Result<&SecretString, ConfigError> {
        self.database.url.as_ref().ok_or_else(|| ConfigError::Missing {
            key: "DATABASE_URL",
            way_out: "hubferry keeps its queue in PostgreSQL 14 or newer. Give its address, such as \
                      DATABASE_URL=postgres://user:password@localhost:5432/hubferry, or look around \
                      with `hubferry demo`, which starts one of its own"
                .into(),
        })
    }

    /// Returns the ingest key and the admin key.
    ///
    /// # Errors
    /// When one is not set or too short.
    pub fn keys(&self) -> Result<(&SecretString, &SecretString), ConfigError> {
        good_key("HUBFERRY_INGEST_KEY", &self.server.ingest_key)?;
        good_key("HUBFERRY_ADMIN_KEY", &self.server.admin_key)?;
        match (&self.server.ingest_key, &self.server.admin_key) {
            (Some(ingest), Some(admin)) if ingest.expose_secret() == admin.expose_secret() => {
                Err(invalid(
                    "HUBFERRY_ADMIN_KEY",
                    "must differ from HUBFERRY_INGEST_KEY: the application's key must not open the admin's door",
                ))
            }
            (Some(ingest), Some(admin)) => Ok((ingest, admin)),
            _ => Err(invalid("HUBFERRY_ADMIN_KEY", "is not set")),
        }
    }

    /// Returns how to reach HubSpot.
    ///
    /// # Errors
    /// When there is no token.
    pub fn hubspot(&self) -> Result<hubspot::Settings, ConfigError> {
        let token = self.hubspot.api_key.clone().ok_or_else(|| ConfigError::Missing {
            key: "HUBSPOT_API_KEY",
            way_out:
                "give the access token of a HubSpot service key or private app, or try without \
                      an account: `hubferry sandbox` simulates HubSpot"
                    .into(),
        })?;
        Ok(hubspot::Settings {
            api_url: self.hubspot.api_url.clone(),
            min_tls: self.min_tls()?,
            version: self
                .hubspot
                .api_version
                .parse()
                .map_err(|e: String| invalid("hubspot.api_version", e))?,
            token,
            timeout: self.live.timeout,
        })
    }

    /// Returns the settings for accepting events.
    #[must_use]
    pub fn ingest_settings(&self) -> IngestSettings {
        IngestSettings {
            default_source: self.ingest.default_source.clone(),
            max_ahead: TimeDelta::seconds(self.ingest.max_ahead_seconds),
            max_body: self.ingest.max_body_bytes,
            max_events: self.ingest.max_events,
        }
    }
}
