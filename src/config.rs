//! The settings: defaults, a file, the environment; the only code that reads the environment.
//!
//! Whatever is wrong stops the start with a sentence that names the key and the way out.

mod environment;
mod live;
mod sections;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::TimeDelta;
use figment::Figment;
use figment::providers::{Format, Toml};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use crate::http::IngestSettings;
use crate::hubspot;
use crate::settings::{Bounds, Source};

pub use environment::Environment;
use environment::{Variable, environment_keys, parse};
pub use sections::{
    Breaker, Database, HubSpot, Ingest, Log, MappingFiles, Retry, Security, Server, Worker,
};

/// The defaults, commented.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is not there or cannot be read.
    #[error("{path}: {reason}; --config names the settings file")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// An unknown key, or a value of the wrong type.
    #[error("{0}; config/default.toml explains every key")]
    Value(Box<figment::Error>),
    /// A key that must be set is not.
    #[error("{key} is not set: {way_out}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to do.
        way_out: String,
    },
    /// More than one of them.
    #[error("{} settings are missing or wrong:{}", .0.len(), list(.0))]
    Several(Vec<ConfigError>),
    /// A value that cannot work.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Why, and what would.
        reason: String,
    },
}

fn list(errors: &[ConfigError]) -> String {
    errors.iter().map(|error| format!("\n  {error}")).collect()
}

fn invalid(key: &'static str, reason: impl Into<String>) -> ConfigError {
    ConfigError::Invalid { key, reason: reason.into() }
}

/// Whether a key is set and long enough.
fn good_key(key: &'static str, value: &Option<SecretString>) -> Result<(), ConfigError> {
    match value {
        None => Err(ConfigError::Missing {
            key,
            way_out: format!("make one with `export {key}=$(openssl rand -hex 32)`"),
        }),
        Some(value) if value.expose_secret().len() < 16 => Err(invalid(
            key,
            "must have at least 16 characters: `openssl rand -hex 32` makes a good one",
        )),
        Some(_) => Ok(()),
    }
}

/// All settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The HTTP server.
    pub server: Server,
    /// Postgres.
    pub database: Database,
    /// HubSpot.
    pub hubspot: HubSpot,
    /// When failures are tried again.
    pub retry: Retry,
    /// When HubSpot is left alone after failures.
    pub breaker: Breaker,
    /// The engine.
    pub worker: Worker,
    /// The door.
    pub ingest: Ingest,
    /// The mapping files.
    #[serde(default)]
    pub mapping: MappingFiles,
    /// The log.
    pub log: Log,
    /// Encryption at rest.
    #[serde(default)]
    pub security: Security,
    /// Where those settings come from that can change while the service runs, if not compiled in.
    #[serde(skip)]
    sources: BTreeMap<&'static str, Source>,
}

impl Config {
    /// The settings: defaults, then `file`, then `environment`.
    ///
    /// # Errors
    /// Naming the key, where it was set, and what it should be.
    pub fn load(file: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
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
        let mut config: Self = figment.extract().map_err(|e| ConfigError::Value(Box::new(e)))?;
        config.sources = live::sources(&figment);
        config.check()?;
        Ok(config)
    }

    /// What must hold between settings, whatever the process is to do.
    fn check(&self) -> Result<(), ConfigError> {
        self.check_live(&Bounds { event_types: None, can_send: true, ..self.bounds() })?;
        let positive: [(&'static str, u64); 5] = [
            ("server.head_seconds", self.server.head_seconds),
            ("worker.count", self.worker.count as u64),
            ("ingest.max_events", self.ingest.max_events as u64),
            ("ingest.max_body_bytes", self.ingest.max_body_bytes as u64),
            // The listener's, those that store, and one for all else.
            ("database.max_connections", self.database.max_connections.saturating_sub(3).into()),
        ];
        for (key, value) in positive {
            if value == 0 {
                let least = if key == "database.max_connections" { 4 } else { 1 };
                return Err(invalid(key, format!("must be at least {least}")));
            }
        }
        let spans: [(&'static str, i64, std::ops::RangeInclusive<i64>); 3] = [
            ("worker.keep_calls_days", self.worker.keep_calls_days, 1..=3_650),
            ("worker.keep_done_days", self.worker.keep_done_days, 0..=36_500),
            ("ingest.max_ahead_seconds", self.ingest.max_ahead_seconds, 1..=86_400),
        ];
        for (key, value, span) in spans {
            if !span.contains(&value) {
                let (least, most) = span.into_inner();
                return Err(invalid(key, format!("must be between {least} and {most}")));
            }
        }
        if !["auto", "text", "json"].contains(&self.log.format.as_str()) {
            return Err(invalid("log.format", "must be auto, text or json"));
        }
        let url = &self.hubspot.api_url;
        if !url.starts_with("https://") && !url.starts_with("http://") {
            return Err(invalid("hubspot.api_url", "must begin with https:// (HUBSPOT_API_URL)"));
        }
        self.hubspot
            .api_version
            .parse::<hubspot::paths::Version>()
            .map_err(|e| invalid("hubspot.api_version", format!("{e} (HUBSPOT_API_VERSION)")))?;
        Ok(())
    }

    /// Everything that `serve` needs and that has no default.
    ///
    /// # Errors
    /// Naming all that is missing or wrong at once.
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

    /// The address of Postgres.
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

    /// Ingest key and admin key.
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

    /// How to reach HubSpot.
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
            version: self
                .hubspot
                .api_version
                .parse()
                .map_err(|e: String| invalid("hubspot.api_version", e))?,
            token,
            timeout: Duration::from_secs(self.hubspot.timeout_seconds),
        })
    }

    /// The door's settings.
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
