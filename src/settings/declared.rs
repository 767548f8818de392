//! The settings that can change while the service runs, each declared once.
//!
//! Everything else follows from a declaration: the field of [`Values`], its default, how it is read
//! from file and environment, its checks, and what people read about it. Only config/default.toml
//! repeats the default and the text, and a test compares them.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::spec::{Kind, Spec};
use super::{OnDelete, OnErase, Priorities, seconds};

/// A source of start values, such as the settings file with the environment.
pub trait Given {
    /// Why a value could not be read.
    type Error;

    /// Returns the value of a dotted key.
    ///
    /// # Errors
    /// When there is none, or its type is wrong.
    fn value<T: DeserializeOwned>(&self, key: &str) -> Result<T, Self::Error>;
}

macro_rules! settings {
    ($($field:ident: $type:ty {
        key: $key:literal,
        $(variable: $variable:literal,)?
        kind: $kind:expr,
        $(unit: $unit:literal,)?
        default: $default:expr,
        text: $text:literal,
        $(serde: $serde:meta,)?
    })*) => {
        /// The values of the settings that can change while the service runs.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub struct Values {
            $(#[doc = $text] #[serde(rename = $key)] $(#[$serde])? pub $field: $type,)*
        }

        impl Default for Values {
            fn default() -> Self {
                Self { $($field: $default,)* }
            }
        }

        impl Values {
            /// Reads the start values.
            ///
            /// # Errors
            /// Names the first value whose type is wrong.
            pub fn read<G: Given>(given: &G) -> Result<Self, G::Error> {
                Ok(Self { $($field: {
                    #[derive(Deserialize)]
                    #[serde(transparent)]
                    struct One($(#[$serde])? $type);
                    given.value::<One>($key)?.0
                },)* })
            }
        }

        /// All settings, in the order in which people see them.
        pub const SPECS: [Spec; [$($key),*].len()] = [$(Spec {
            key: $key,
            kind: $kind,
            unit: settings!(@option $($unit)?),
            variable: settings!(@option $($variable)?),
            description: $text,
        }),*];
    };
    (@option) => { None };
    (@option $value:literal) => { Some($value) };
}

settings! {
    enabled: bool {
        key: "worker.enabled",
        kind: Kind::Flag,
        default: true,
        text: "Whether hubferry sends anything. While it is off, events are still accepted and \
               wait",
    }
    frequency_ms: u64 {
        key: "worker.frequency_ms",
        kind: Kind::Whole(0, 3_600_000),
        unit: "milliseconds",
        default: 0,
        text: "How long an idle worker collects events before it sends; 0 sends at once",
    }
    wait_create_hours: i64 {
        key: "worker.wait_create_hours",
        kind: Kind::Whole(1, 8_760),
        unit: "hours",
        default: 24,
        text: "How long a record waits for the values that HubSpot needs to create it",
    }
    retry_delay_ms: u64 {
        key: "retry.delay_ms",
        variable: "HUBSPOT_RETRY_DELAY",
        kind: Kind::Whole(1, 86_400_000),
        unit: "milliseconds",
        default: 60_000,
        text: "Wait before the first retry",
    }
    retry_factor: f64 {
        key: "retry.factor",
        kind: Kind::Number(1.0, 100.0),
        default: 2.0,
        text: "Factor by which each further wait is longer than the one before",
    }
    max_retries: i32 {
        key: "retry.max_retries",
        variable: "HUBSPOT_MAX_RETRIES",
        kind: Kind::Whole(0, 30),
        unit: "retries",
        default: 3,
        text: "Retries before a row is marked failed",
    }
    retry_jitter: f64 {
        key: "retry.jitter",
        kind: Kind::Number(0.0, 1.0),
        default: 0.0,
        text: "Random variation of each wait, as a fraction in both directions; 0 means none",
    }
    retry_rejected: bool {
        key: "retry.rejected",
        kind: Kind::Flag,
        default: false,
        text: "Whether to also retry rows that HubSpot rejects as invalid",
    }
    limit_per_10s: u32 {
        key: "hubspot.limit_per_10s",
        kind: Kind::Whole(1, 1_000_000),
        unit: "calls",
        default: 100,
        text: "Rate limit: calls in any rolling 10 seconds, over all processes",
    }
    limit_per_day: u32 {
        key: "hubspot.limit_per_day",
        kind: Kind::Whole(1, 1_000_000_000),
        unit: "calls",
        default: 250_000,
        text: "Rate limit: calls in a day, over all processes. The day ends at midnight in the \
               account's time zone",
    }
    timeout: Duration {
        key: "hubspot.timeout_seconds",
        variable: "HUBSPOT_TIMEOUT",
        kind: Kind::Timeout,
        unit: "seconds",
        default: Duration::from_secs(10),
        text: "Timeout of a call, from its start to the end of the reply",
        serde: serde(with = "seconds"),
    }
    breaker_threshold: u32 {
        key: "breaker.threshold",
        variable: "HUBSPOT_CB_THRESHOLD",
        kind: Kind::Whole(1, 1_000),
        unit: "failures",
        default: 5,
        text: "Failures within 60 seconds that open the circuit breaker",
    }
    breaker_timeout_seconds: u32 {
        key: "breaker.timeout_seconds",
        variable: "HUBSPOT_CB_TIMEOUT",
        kind: Kind::Whole(1, 86_400),
        unit: "seconds",
        default: 120,
        text: "How long the circuit breaker stays open before it sends the first probe",
    }
    on_delete: OnDelete {
        key: "adopted.on_delete",
        kind: Kind::Choice(&["unlink", "archive"]),
        default: OnDelete::Unlink,
        text: "What a delete does to an adopted record, which HubSpot had before hubferry: unlink \
               leaves it in HubSpot, archive archives it",
    }
    on_erase: OnErase {
        key: "adopted.on_erase",
        kind: Kind::Choice(&["ask", "erase"]),
        default: OnErase::Ask,
        text: "What an erasure does to an adopted record: ask waits until a person confirms it, \
               erase erases it at once",
    }
    priorities: Priorities {
        key: "ingest.priorities",
        kind: Kind::Priorities,
        default: Priorities::default(),
        text: "Priority (high, normal or low) of events that do not name one, by event type or by \
               entity. For all others, the mapping file decides",
    }
}
