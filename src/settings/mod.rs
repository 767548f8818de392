//! What can be set while the service runs: which settings, their bounds, and where each comes from.
//!
//! A setting is written in the defaults, a file or the environment, and a person may store another
//! value, which wins. Whoever works takes one [`Runtime`] and finishes with it; [`Live`] publishes
//! the next one. The same checks hold for every way in.

mod adopted;
mod base;
mod live;
mod priorities;
mod spec;

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use adopted::{OnDelete, OnErase};
pub use base::Base;
pub use live::{Live, Refused};
pub use priorities::Priorities;
pub use spec::{Bounds, Kind, SPECS, Spec, Wrong};

/// The settings that can change while the service runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Values {
    /// Whether anything is sent.
    #[serde(rename = "worker.enabled")]
    pub enabled: bool,
    /// How long an idle worker gathers, in milliseconds.
    #[serde(rename = "worker.frequency_ms")]
    pub frequency_ms: u64,
    /// How long a record waits for what its creation lacks.
    #[serde(rename = "worker.wait_create_hours")]
    pub wait_create_hours: i64,
    /// The wait after the first failure.
    #[serde(rename = "retry.delay_ms")]
    pub retry_delay_ms: u64,
    /// What each further wait is multiplied by.
    #[serde(rename = "retry.factor")]
    pub retry_factor: f64,
    /// After so many retries a row fails.
    #[serde(rename = "retry.max_retries")]
    pub max_retries: i32,
    /// The fraction by which waits vary.
    #[serde(rename = "retry.jitter")]
    pub retry_jitter: f64,
    /// Whether what HubSpot rejects is retried too.
    #[serde(rename = "retry.rejected")]
    pub retry_rejected: bool,
    /// Calls in any rolling ten seconds.
    #[serde(rename = "hubspot.limit_per_10s")]
    pub limit_per_10s: u32,
    /// Calls a day.
    #[serde(rename = "hubspot.limit_per_day")]
    pub limit_per_day: u32,
    /// The time-out of a call.
    #[serde(rename = "hubspot.timeout_seconds", with = "seconds")]
    pub timeout: Duration,
    /// So many failures within a minute close the gate.
    #[serde(rename = "breaker.threshold")]
    pub breaker_threshold: u32,
    /// For so long.
    #[serde(rename = "breaker.timeout_seconds")]
    pub breaker_timeout_seconds: u32,
    /// What a delete does to a record that HubSpot had before us.
    #[serde(rename = "adopted.on_delete")]
    pub on_delete: OnDelete,
    /// What an erasure does to it.
    #[serde(rename = "adopted.on_erase")]
    pub on_erase: OnErase,
    /// The urgency of events that name none.
    #[serde(rename = "ingest.priorities")]
    pub priorities: Priorities,
}

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Compiled in.
    Default,
    /// The file that `--config` names.
    File,
    /// A variable of the environment.
    Environment,
    /// A person stored it.
    Stored,
}

/// One setting as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which.
    pub spec: &'static Spec,
    /// The value in force.
    pub value: Value,
    /// The compiled-in value.
    pub default: Value,
    /// Where the value in force comes from.
    pub source: Source,
    /// The smallest and the largest value, where it is a number.
    pub range: Option<(Value, Value)>,
    /// When the stored value was stored.
    pub changed_at: Option<DateTime<Utc>>,
    /// By whom.
    pub changed_by: Option<String>,
    /// Why the stored value is not in force.
    pub ignored: Option<String>,
}

/// The settings in force: a snapshot that whoever works with it finishes with.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// Their values.
    pub values: Values,
    /// Each with its source, in the order of [`SPECS`].
    pub entries: Vec<Entry>,
    /// Stored settings that this version does not know.
    pub unknown: Vec<String>,
}

/// A span in seconds, whole where it is.
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
