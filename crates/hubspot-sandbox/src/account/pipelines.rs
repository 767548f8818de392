//! Pipelines with their stages, and the owners of records. This reference data is read-only.
//!
//! Both come from data files. A new account has one pipeline for deals and one for tickets, with
//! the ids that every new HubSpot account has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::clock::EPOCH;

/// A sequence of stages.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pipeline {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) stages: Vec<Stage>,
}

/// A stage. All its metadata are strings.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "(String, String, BTreeMap<String, String>)")]
pub(crate) struct Stage {
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl From<(String, String, BTreeMap<String, String>)> for Stage {
    fn from((id, label, metadata): (String, String, BTreeMap<String, String>)) -> Self {
        Self { id, label, metadata }
    }
}

/// The pipelines of a new account, by plural object type.
pub(crate) fn builtin() -> BTreeMap<String, Vec<Pipeline>> {
    serde_json::from_str(include_str!("../defaults/pipelines.json")).unwrap_or_default()
}

/// The owners of a new account.
pub(crate) fn owners() -> Vec<Value> {
    let mut owners: Vec<Value> =
        serde_json::from_str(include_str!("../defaults/owners.json")).unwrap_or_default();
    for owner in &mut owners {
        owner["type"] = "PERSON".into();
        owner["userIdIncludingInactive"] = owner["userId"].clone();
        owner["createdAt"] = EPOCH.into();
        owner["updatedAt"] = EPOCH.into();
        owner["archived"] = false.into();
    }
    owners
}
