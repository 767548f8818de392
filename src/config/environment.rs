//! The environment of the process, and the settings that its variables set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};

use crate::settings::SPECS;

/// Well-known variable names, and the keys that they set. The names of settings that can change
/// while the service runs are in their declarations.
const FIXED: [(&str, &str); 9] = [
    ("DATABASE_URL", "database.url"),
    ("HUBSPOT_API_KEY", "hubspot.api_key"),
    ("HUBSPOT_API_URL", "hubspot.api_url"),
    ("HUBSPOT_API_VERSION", "hubspot.api_version"),
    ("HUBSPOT_OWNER_ID", "hubspot.owner_id"),
    ("HUBFERRY_INGEST_KEY", "server.ingest_key"),
    ("HUBFERRY_ADMIN_KEY", "server.admin_key"),
    ("HUBFERRY_ENCRYPTION_KEY", "security.encryption_key"),
    ("HUBFERRY_LISTEN", "server.listen"),
];
const PREFIX: &str = "HUBFERRY__";
/// The name of the environment in errors.
pub(super) const NAME: &str = "the environment";

/// All well-known names, and the keys that they set.
fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let live = SPECS.iter().filter_map(|spec| Some((spec.variable?, spec.key)));
    FIXED.into_iter().chain(live)
}

/// The environment variables of the process.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    values: BTreeMap<String, String>,
    /// Variables whose values are not valid text.
    unreadable: Vec<String>,
}

impl Environment {
    /// Reads the environment of this process.
    #[must_use]
    pub fn of_process() -> Self {
        let mut environment = Self::default();
        for (name, value) in std::env::vars_os() {
            match (name.into_string(), value.into_string()) {
                (Ok(name), Ok(value)) => environment.set(name, &value),
                (Ok(name), Err(_)) => environment.unreadable.push(name),
                (Err(_), _) => {}
            }
        }
        environment
    }

    /// Makes an environment of these variables only.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let mut environment = Self::default();
        for (name, value) in variables {
            environment.set((*name).to_owned(), value);
        }
        environment
    }

    /// Sets a variable. A trailing line break is removed, because a secret read from a file often
    /// has one.
    fn set(&mut self, name: String, value: &str) {
        self.values.insert(name, value.trim_end_matches(['\r', '\n']).to_owned());
    }

    /// Returns a variable that is set and not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Returns a hubferry variable whose value is not valid text.
    pub(super) fn unreadable(&self) -> Option<&str> {
        let ours =
            |name: &&String| name.starts_with(PREFIX) || names().any(|(known, _)| known == *name);
        self.unreadable.iter().find(ours).map(String::as_str)
    }

    /// `PATH`, for finding the programs of Postgres.
    #[must_use]
    pub fn path(&self) -> Option<OsString> {
        self.get("PATH").map(OsString::from)
    }

    /// Returns the directory for state that is useful but not essential: `XDG_STATE_HOME`, else
    /// `.local/state` in the home directory. Returns `None` if neither is known.
    #[must_use]
    pub fn state_dir(&self) -> Option<PathBuf> {
        let named = self.get("XDG_STATE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
        let dir = named.or_else(|| Some(PathBuf::from(self.get("HOME")?).join(".local/state")))?;
        Some(dir.join("hubferry"))
    }

    /// `PG_BIN_DIR`, where the programs of Postgres are.
    #[must_use]
    pub fn pg_bin_dir(&self) -> Option<PathBuf> {
        self.get("PG_BIN_DIR").map(PathBuf::from)
    }
}

/// Returns the variables that set a key, with the key. The well-known names come last and win.
pub(super) fn environment_keys(environment: &Environment) -> Vec<(String, String)> {
    let prefixed = environment.values.keys().filter_map(|name| {
        let key = name.strip_prefix(PREFIX)?.to_lowercase().replace("__", ".");
        Some((name.clone(), key))
    });
    let known = names().map(|(name, key)| (name.to_owned(), key.to_owned()));
    prefixed.chain(known).filter(|(name, _)| environment.get(name).is_some()).collect()
}

/// Parses numbers and flags, except where the key holds text that may look like one.
pub(super) fn parse(key: &str, value: &str) -> Value {
    const TEXTS: [&str; 11] = [
        "public_url",
        "min_tls",
        "url",
        "api_key",
        "owner_id",
        "ingest_key",
        "admin_key",
        "encryption_key",
        "listen",
        "namespace",
        "default_source",
    ];
    if TEXTS.iter().any(|text| key.rsplit('.').next() == Some(text)) {
        return value.to_owned().into();
    }
    match (value.parse::<i64>(), value.parse::<f64>(), value.parse::<bool>()) {
        (Ok(number), ..) => number.into(),
        (_, Ok(number), _) => number.into(),
        (.., Ok(flag)) => flag.into(),
        // A map, such as {"user.*"="low"}. Any other text stays text.
        _ if value.starts_with('{') => {
            value.parse().unwrap_or_else(|error: std::convert::Infallible| match error {})
        }
        _ => value.to_owned().into(),
    }
}

/// One variable as a source of settings, so that an error can name it.
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) value: Value,
}

impl Provider for Variable {
    fn metadata(&self) -> Metadata {
        Metadata::named(format!("{NAME}, {}", self.name)).interpolater(|_, keys| keys.join("."))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let nested = figment::util::nest(&self.key, self.value.clone());
        let dict = nested.into_dict().ok_or_else(|| format!("`{}` is no key", self.key))?;
        Ok(Profile::Default.collect(dict))
    }
}
