//! Faults that make the simulator misbehave.
//!
//! All are off by default. Each one is something that the real service does, was reported to do, or
//! is not documented never to do. A `remaining` counts down with each affected call. Without it,
//! the fault stays until it is cleared.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The faults in force. The JSON keys of `PUT /_sandbox/faults` have the same names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// Trace ids no longer enable the status 207: one bad input refuses its whole batch.
    pub no_multi_status: bool,
    /// Results lack `objectWriteTraceId`.
    pub no_trace_echo: bool,
    /// Every call gets a gateway error and is not performed.
    pub outage: Option<Outage>,
    /// Writes are performed, but the caller gets an error or no answer.
    pub apply_then_fail: Option<ApplyThenFail>,
    /// Some batch inputs appear neither in `results` nor in `errors`.
    pub drop_inputs: Option<DropInputs>,
    /// `numErrors` is greater than the number of items listed.
    pub num_errors_lies: bool,
    /// Items of `errors` lack their `context`.
    pub error_items_without_context: bool,
    /// Writes answer 423 and are not performed.
    pub lock_423: Option<Locked>,
    /// Every call answers 477: the account is moving to another data centre.
    pub migrating_477: Option<Migrating>,
    /// Replies lack the rate-limit headers.
    pub missing_rate_headers: bool,
    /// Calls are not performed. The connection stays open this long and is then cut without an
    /// answer.
    pub hang_ms: Option<u64>,
    /// Replies are delayed this long, in addition to the latency in the settings.
    pub latency_ms: Option<u64>,
    /// Batches that contain one of these inputs answer 500.
    pub poison: Option<Poison>,
    /// The calls of another integration in every ten seconds of the same window.
    pub other_consumer_per_10s: Option<u32>,
    /// The calls left today when the fault is set. Clearing the fault begins a new day.
    pub daily_remaining: Option<u32>,
    /// Archived records keep their unique values, so that writing one of these again conflicts.
    pub keep_unique_on_archive: bool,
    /// A merge keeps the id of the primary record instead of making a new one.
    pub merge_keeps_primary_id: bool,
    /// The ids of records that were merged away answer 404 instead of returning the survivor.
    pub merged_ids_vanish: bool,
    /// Error bodies and error items lack a `category`.
    pub missing_category: bool,
    /// The token is no longer accepted.
    pub revoke_token: bool,
    /// Scopes that the token has lost.
    pub deny_scopes: Vec<String>,
    /// How long after a write the search index does not contain it.
    pub search_delay_ms: u64,
    /// An empty `inputs` answers 200 with no results instead of 400.
    pub empty_inputs_ok: bool,
    /// "Contact already exists" lacks the id of the existing contact.
    pub conflict_without_id: bool,
}

/// A gateway that answers instead of the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outage {
    /// The status, 500 to 599.
    pub status: u16,
    /// Calls still to be spoilt; `None` is until cleared.
    #[serde(default)]
    pub remaining: Option<u32>,
    /// Answer with an HTML page. Otherwise the answer is the short JSON error, or empty for a 503.
    #[serde(default)]
    pub html: bool,
}

/// A write that is performed although the caller sees a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyThenFail {
    /// What the caller sees.
    #[serde(default)]
    pub how: FailHow,
    /// The status for [`FailHow::Status`], 500 to 599.
    #[serde(default = "bad_gateway")]
    pub status: u16,
    /// Calls still to be spoilt; `None` is until cleared.
    #[serde(default)]
    pub remaining: Option<u32>,
}

/// What the caller of a performed write sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailHow {
    /// An HTML page with the status.
    #[default]
    Status,
    /// The connection is cut.
    Cut,
    /// No answer until the caller gives up.
    Hang,
}

/// Which inputs get no result.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DropInputs {
    /// Every n-th input of all batches.
    pub every: Option<u32>,
    /// Inputs with one of these ids or property values.
    pub keys: Vec<String>,
    /// Inputs still to be dropped; `None` is until cleared.
    pub remaining: Option<u32>,
}

/// Records that are locked because of too many writes at once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Locked {
    /// Calls still to be spoilt; `None` is until cleared.
    pub remaining: Option<u32>,
}

/// An account that is moving to another data centre.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migrating {
    /// The `Retry-After` header, in seconds.
    pub retry_after_s: u32,
    /// Calls still to be spoilt; `None` is until cleared.
    #[serde(default)]
    pub remaining: Option<u32>,
}

/// Inputs that cause a server error.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Poison {
    /// The ids or property values of these inputs.
    pub keys: Vec<String>,
}

fn bad_gateway() -> u16 {
    502
}

impl Faults {
    /// Returns what is wrong with a value, in a sentence.
    pub(crate) fn fault(&self) -> Option<String> {
        let statuses = [
            ("outage", self.outage.as_ref().map(|o| o.status)),
            ("apply_then_fail", self.apply_then_fail.as_ref().map(|f| f.status)),
        ];
        for (key, status) in statuses {
            if status.is_some_and(|s| !(500..=599).contains(&s)) {
                return Some(format!("{key}.status must be between 500 and 599"));
            }
        }
        if self.drop_inputs.as_ref().is_some_and(|d| d.every == Some(0)) {
            return Some("drop_inputs.every must be at least 1".into());
        }
        None
    }

    /// Whether a batch contains an input that causes a server error.
    pub(crate) fn poisoned(&self, inputs: &[Value]) -> bool {
        let Some(poison) = &self.poison else { return false };
        inputs.iter().any(|input| names_one_of(input, &poison.keys))
    }

    /// Changes a reply's JSON as the faults require.
    pub(crate) fn distort(&self, body: &mut Value) {
        if self.missing_category
            && body["status"] == "error"
            && let Some(map) = body.as_object_mut()
        {
            map.remove("category");
        }
        let Some(items) = body.get_mut("errors").and_then(Value::as_array_mut) else { return };
        for item in items.iter_mut().filter_map(Value::as_object_mut) {
            if item.get("status").is_none() {
                continue;
            }
            if self.missing_category {
                item.remove("category");
            }
            if self.error_items_without_context {
                item.remove("context");
            }
        }
        let listed = items.len();
        if self.num_errors_lies && body.get("numErrors").is_some() {
            body["numErrors"] = (listed + 35).into();
        }
    }
}

impl DropInputs {
    /// Whether this input is dropped. `nth` counts the inputs of all batches from 1.
    pub(crate) fn takes(&mut self, nth: u64, input: &Value) -> bool {
        let hit = self.every.is_some_and(|n| nth.is_multiple_of(u64::from(n.max(1))))
            || names_one_of(input, &self.keys);
        hit && spend(&mut self.remaining)
    }
}

/// Decreases a counter. Returns false once it is used up.
pub(crate) fn spend(remaining: &mut Option<u32>) -> bool {
    match remaining {
        None => true,
        Some(0) => false,
        Some(n) => {
            *n -= 1;
            true
        }
    }
}

fn names_one_of(input: &Value, keys: &[String]) -> bool {
    let is = |v: &Value| match v {
        Value::String(s) => keys.iter().any(|k| k == s),
        Value::Number(n) => keys.iter().any(|k| *k == n.to_string()),
        _ => false,
    };
    is(&input["id"])
        || is(&input["from"]["id"])
        || is(&input["to"]["id"])
        || input["properties"].as_object().is_some_and(|p| p.values().any(is))
}
