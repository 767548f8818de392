//! What tests and people see of the account without the API.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::state::State;
use crate::account::store::Record;
use crate::clock;
use crate::kinds::Kind;

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
    /// `HUBSPOT_DEFINED`, the only category in the sandbox.
    pub category: String,
    /// Number of the association type in this direction.
    pub type_id: u32,
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

/// Returns the live records of a kind, by id.
pub(crate) fn objects(state: &State, kind: Kind) -> Vec<ObjectView> {
    let records = state.store(kind).records.values();
    records.filter(|r| r.archived_at.is_none()).map(ObjectView::of).collect()
}

/// Returns all associations in both directions, in order.
pub(crate) fn associations(state: &State) -> Vec<AssociationView> {
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
