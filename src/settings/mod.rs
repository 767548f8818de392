//! Settings that can change while the service runs: which ones, their bounds, and their sources.
//!
//! A setting has a value from the defaults, a file or the environment. A person can store another
//! value, which wins. Each piece of work takes one [`Runtime`] and keeps it to the end, and
//! [`Live`] publishes the next one. The same checks apply to every source.

mod adopted;
mod base;
mod declared;
mod live;
mod priorities;
mod spec;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use adopted::{OnDelete, OnErase};
pub use base::Base;
pub use declared::{Given, SPECS, Values};
pub use live::{Live, Refused};
pub use priorities::Priorities;
pub use spec::{Bounds, Kind, Spec, Wrong};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Compiled in.
    Default,
    /// The file that `--config` names.
    File,
    /// An environment variable.
    Environment,
    /// A person stored it.
    Stored,
}

/// The current state of one setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which setting it is.
    pub spec: &'static Spec,
    /// The value in force.
    pub value: Value,
    /// The compiled-in value.
    pub default: Value,
    /// Where the value in force comes from.
    pub source: Source,
    /// The smallest and the largest value, for a number.
    pub range: Option<(Value, Value)>,
    /// When the stored value was stored.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who stored it.
    pub changed_by: Option<String>,
    /// Why the stored value is not in force.
    pub ignored: Option<String>,
}

/// A snapshot of the settings in force. Each piece of work uses one snapshot to the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// The values.
    pub values: Values,
    /// Each setting with its source, in the order of [`SPECS`].
    pub entries: Vec<Entry>,
    /// Stored settings that this version does not know.
    pub unknown: Vec<String>,
}

/// Serializes a duration in seconds, as a whole number where possible.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(span: &Duration, s: S) -> Result<S::Ok, S::Error> {
        if span.subsec_nanos() == 0 {
            s.serialize_u64(span.as_secs())
        } else {
            s.serialize_f64(span.as_secs_f64())
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}
