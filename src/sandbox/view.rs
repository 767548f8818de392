//! What tests and people see of the account from outside the API.

use std::collections::BTreeMap;

use serde::Serialize;

use super::clock;
use super::kinds::Kind;
use super::state::{Record, State};

/// A live record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectView {
    /// The record id.
    pub id: String,
    /// All properties that have a value.
    pub properties: BTreeMap<String, String>,
    /// Whether it is in the recycle bin.
    pub archived: bool,
    /// ISO-8601 with milliseconds.
    pub created_at: String,
    /// ISO-8601 with milliseconds.
    pub updated_at: String,
}

/// One direction of an association under one of its types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct AssociationView {
    /// Plural object type of the near end.
    pub from_type: String,
    /// Record id of the near end.
    pub from_id: String,
    /// Plural object type of the far end.
    pub to_type: String,
    /// Record id of the far end.
    pub to_id: String,
    /// `HUBSPOT_DEFINED`, the only category the sandbox has.
    pub category: String,
    /// Number of the association type in this direction.
    pub type_id: u32,
}

/// One call of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallView {
    /// Milliseconds from the start of the sandbox to the arrival.
    pub arrived_at_ms: u64,
    /// The HTTP method.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// The status answered; 0 where the connection was cut or left hanging.
    pub status: u16,
    /// The length of `inputs`; 1 for calls that have none.
    pub inputs: usize,
    /// Whether it counted for the ten-second window.
    pub rate_counted: bool,
}

impl ObjectView {
    fn of(record: &Record) -> Self {
        Self {
            id: record.id.to_string(),
            properties: record.properties.clone(),
            archived: record.archived_at.is_some(),
            created_at: clock::iso(record.created_at),
            updated_at: clock::iso(record.updated_at),
        }
    }
}

/// The live records of a kind, by id.
pub(super) fn objects(state: &State, kind: Kind) -> Vec<ObjectView> {
    let records = state.store(kind).records.values();
    records.filter(|r| r.archived_at.is_none()).map(ObjectView::of).collect()
}

/// All associations in both directions, in order.
pub(super) fn associations(state: &State) -> Vec<AssociationView> {
    let each = state.links.all().map(|(from, to, type_id)| AssociationView {
        from_type: from.0.plural().into(),
        from_id: from.1.to_string(),
        to_type: to.0.plural().into(),
        to_id: to.1.to_string(),
        category: "HUBSPOT_DEFINED".into(),
        type_id,
    });
    each.collect()
}
