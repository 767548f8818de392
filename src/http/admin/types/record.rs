//! A record as the API shows it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::mapping::is_part;
use crate::operator::views::{Accepted, AssociationView, RecordView};

/// The value of a property that HubSpot has accepted.
#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedValue {
    /// The value; `null` if the key may not read payloads.
    pub value: Option<String>,
    /// When the event that set the value happened.
    pub event_time: DateTime<Utc>,
    /// The number of the row that set the value, as text.
    pub row_id: String,
}

/// A HubSpot record that hubferry writes properties of.
#[derive(Debug, Serialize, ToSchema)]
pub struct Record {
    /// The object kind.
    #[schema(example = "contact")]
    pub sync_type: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    pub external_id: String,
    /// The id of the linked record in HubSpot.
    pub hubspot_id: Option<String>,
    /// `true` if HubSpot may hold other values than `accepted`. The next call sends all of them.
    pub uncertain: bool,
    /// `true` if somebody asked for a resync. The next call sends all values.
    pub resyncing: bool,
    /// The number of transient failures in a row.
    pub failures: i32,
    /// When the record is due.
    pub due_at: Option<DateTime<Utc>>,
    /// What the record waits for.
    pub waiting_for: Option<String>,
    /// The worker that has leased the record.
    pub lease_holder: Option<String>,
    /// When the lease expires.
    pub lease_until: Option<DateTime<Utc>>,
    /// When the first event of the record arrived.
    pub created_at: DateTime<Utc>,
    /// When the record was last written to HubSpot.
    pub synced_at: Option<DateTime<Utc>>,
    /// When the record was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When its erasure was requested.
    pub erased_at: Option<DateTime<Utc>>,
    /// The external id of the record it was merged into.
    pub merged_into: Option<String>,
    /// When it was adopted, if HubSpot had the record before hubferry.
    pub adopted_at: Option<DateTime<Utc>>,
    /// The number of the row that led to the adoption.
    pub adopted_by: Option<String>,
    /// What HubSpot has accepted, by property.
    pub accepted: BTreeMap<String, AcceptedValue>,
}

impl Record {
    /// Converts `record` to the form of the API. Values are included only if `values` is true.
    #[must_use]
    pub fn of(record: RecordView, values: bool) -> Self {
        let accepted: Accepted = serde_json::from_value(record.accepted).unwrap_or_default();
        let accepted = accepted.into_iter().filter(|(name, _)| !is_part(name));
        let accepted = accepted.map(|(name, register)| {
            let value = values.then_some(register.value);
            let (event_time, row_id) = (register.stamp.at, register.stamp.row.to_string());
            (name, AcceptedValue { value, event_time, row_id })
        });
        Self {
            accepted: accepted.collect(),
            sync_type: record.sync_type,
            external_id: record.external_id,
            hubspot_id: record.hubspot_id,
            uncertain: record.uncertain,
            resyncing: record.resyncing,
            failures: record.failures,
            due_at: record.due_at,
            waiting_for: record.waiting_reason,
            lease_holder: record.lease_holder,
            lease_until: record.lease_until,
            created_at: record.created_at,
            synced_at: record.synced_at,
            deleted_at: record.deleted_at,
            erased_at: record.erased_at,
            merged_into: record.merged_into,
            adopted_at: record.adopted_at,
            adopted_by: record.adopted_by.map(|row| row.to_string()),
        }
    }
}

/// An association slot of a record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Association {
    /// The name of the slot.
    #[schema(example = "user.business")]
    pub slot: String,
    /// The object kind of the other record.
    pub target_type: Option<String>,
    /// The external id of the other record.
    pub target: Option<String>,
    /// `made`, `due`, `parked` (the other record does not exist yet), `refused` or `none`.
    pub state: String,
}

impl From<AssociationView> for Association {
    fn from(a: AssociationView) -> Self {
        Self { slot: a.slot, target_type: a.target_type, target: a.target, state: a.state }
    }
}
