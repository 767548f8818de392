//! Batch calls on records, and the verdict for each input.
//!
//! Verdicts are matched by `objectWriteTraceId`, or else by what the reply says about the record.
//! They are never matched by position, because HubSpot shuffles its results. An input that the
//! reply does not mention has no verdict, whatever `numErrors` says.

mod reply;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::classify::Failure;
use super::client::Call;
use super::paths::Version;

pub use reply::{missing, results, verdicts};

/// The most inputs that HubSpot accepts in one call.
pub const LARGEST: usize = 100;

/// The property that lists the ids of records merged into this one.
pub const MERGED: &str = "hs_merged_object_ids";

/// One record of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The trace id, which is unique within the call.
    pub trace: String,
    /// The value of the key property for an upsert, otherwise HubSpot's id.
    pub id: String,
    /// Values by property.
    pub properties: BTreeMap<String, String>,
}

/// What a batch call does with its inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write<'a> {
    /// Create or update by this unique property.
    Upsert(&'a str),
    /// Update by HubSpot's id.
    Update,
}

/// What a reply says about a record that was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// HubSpot's id.
    pub id: String,
    /// Whether the call created it.
    pub new: bool,
    /// The properties it shows.
    pub properties: HashMap<String, String>,
    /// The property and text of each HubSpot warning.
    pub warnings: Vec<(Option<String>, String)>,
}

impl Written {
    /// The ids of the HubSpot records that were merged into this one, if they were read.
    pub fn merged(&self) -> impl Iterator<Item = &str> {
        let ids = self.properties.get(MERGED).map_or("", String::as_str);
        ids.split(';').filter(|id| !id.is_empty())
    }
}

/// The result for one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// HubSpot has written it.
    Written(Written),
    /// HubSpot refused it.
    Refused(Failure),
    /// The reply does not mention it.
    Unanswered,
}

/// Builds the call that writes `inputs`.
#[must_use]
pub fn write(version: &Version, plural: &str, how: Write<'_>, inputs: &[&Input]) -> Call {
    let (operation, key) = match how {
        Write::Upsert(key) => ("upsert", Some(key)),
        Write::Update => ("update", None),
    };
    let items: Vec<Value> = inputs
        .iter()
        .map(|input| {
            let mut item = json!({
                "id": input.id,
                "objectWriteTraceId": input.trace,
                "properties": input.properties,
            });
            if let Some(key) = key {
                item["idProperty"] = json!(key);
            }
            item
        })
        .collect();
    Call::post(
        version.batch(plural, operation),
        format!("{operation} {plural}"),
        json!({ "inputs": items }),
        inputs.len(),
    )
}

/// Builds the call that archives the records `ids`.
#[must_use]
pub fn archive(version: &Version, plural: &str, ids: &[String]) -> Call {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let count = inputs.len();
    Call::post(
        version.batch(plural, "archive"),
        format!("archive {plural}"),
        json!({ "inputs": inputs }),
        count,
    )
}

/// Builds the call that reads the named properties of records. `ids` are values of the unique
/// property `by`, or else HubSpot's ids.
#[must_use]
pub fn read(
    version: &Version,
    plural: &str,
    by: Option<&str>,
    ids: &[String],
    properties: &[&str],
) -> Call {
    let inputs: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
    let mut body =
        json!({ "inputs": inputs, "properties": properties, "propertiesWithHistory": [] });
    if let Some(by) = by {
        body["idProperty"] = json!(by);
    }
    Call::post(version.batch(plural, "read"), format!("read {plural}"), body, ids.len())
}
