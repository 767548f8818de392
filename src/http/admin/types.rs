//! The types that answers share: rows, records, attempts and pages.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::mapping::is_part;
use crate::operator::Reveal;
use crate::operator::views::{
    Accepted, Actor, AssociationView, AttemptView, Listing, RecordView, Role, RowView, Why,
};

/// Returns whether `actor` may see values, and how the audit names that.
pub(super) fn reveal(actor: &Actor) -> (bool, Reveal<'_>) {
    if actor.role.may(Role::Operator) {
        (true, Reveal::ToProgram(actor))
    } else {
        (false, Reveal::No)
    }
}

/// One page of a list, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct PageOf<T> {
    /// The entries of this page.
    pub items: Vec<T>,
    /// Pass it as `cursor` for the next, older page. `null` on the last page.
    pub next_cursor: Option<String>,
    /// Pass it as `cursor` for the previous, newer page. `null` on the newest page.
    pub prev_cursor: Option<String>,
}

impl<T> PageOf<T> {
    pub(super) fn of<V>(listing: Listing<V>, view: impl FnMut(V) -> T) -> Self {
        Self {
            items: listing.items.into_iter().map(view).collect(),
            next_cursor: listing.next,
            prev_cursor: listing.prev,
        }
    }
}

/// A queue row: one event to be sent for one record.
#[derive(Debug, Serialize, ToSchema)]
pub struct Row {
    /// The number of the row, as text.
    #[schema(example = "41")]
    pub id: String,
    /// The event's id.
    pub event_id: String,
    /// The event's source.
    pub source: String,
    /// The event's type.
    #[schema(example = "user.updated")]
    pub event_type: String,
    /// When the event happened.
    pub occurred_at: DateTime<Utc>,
    /// The object kind.
    #[schema(example = "contact")]
    pub sync_type: String,
    /// The output of the mapping file that made the change. An event has one row for each of its
    /// outputs.
    #[schema(example = "contact")]
    pub output: String,
    /// The application's id of the entity.
    #[schema(example = "u-1001")]
    pub external_id: String,
    /// `pending`, `processing`, `synced`, `retry` or `failed`.
    pub status: String,
    /// `high`, `normal` or `low`.
    pub priority: &'static str,
    /// The number of failed deliveries so far.
    pub retry_count: i32,
    /// How many retries the row has before it is marked failed.
    pub max_retries: i32,
    /// When the event was accepted.
    pub created_at: DateTime<Utc>,
    /// When the row is due; `null` once it is done.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// When the row was done.
    pub processed_at: Option<DateTime<Utc>>,
    /// When a person discarded the row.
    pub discarded_at: Option<DateTime<Utc>>,
    /// What the row waits for, if something has not arrived yet.
    pub waiting_for: Option<String>,
    /// What was left out or changed while mapping the event.
    pub warnings: Value,
    /// The W3C trace that the sender gave.
    pub traceparent: Option<String>,
    /// Why the row failed or is retried.
    pub error: Option<RowError>,
}

/// Why a row failed or is retried.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RowError {
    /// A stable code: HubSpot's if there is one.
    #[schema(example = "INVALID_EMAIL")]
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// What happened, without personal data.
    pub message: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The reply's HTTP status.
    pub http_status: Option<i32>,
}

impl RowError {
    /// Returns the error of `row`, if it has one.
    #[must_use]
    pub fn of(row: &RowView) -> Option<Self> {
        row.error_code.clone().map(|code| Self {
            code,
            property: row.error_property.clone(),
            message: row.error_message.clone(),
            hint: row.error_hint.clone(),
            correlation_id: row.error_correlation_id.clone(),
            http_status: row.error_http_status,
        })
    }
}

/// Returns the name of a stored priority.
#[must_use]
pub fn priority_word(number: i16) -> &'static str {
    match number {
        0 => "high",
        1 => "normal",
        _ => "low",
    }
}

impl Row {
    /// Converts `row` to the form of the API.
    #[must_use]
    pub fn of(row: RowView, max_retries: i32) -> Self {
        let error = RowError::of(&row);
        Self {
            id: row.id.to_string(),
            event_id: row.event_id,
            source: row.event_source,
            event_type: row.event_type,
            occurred_at: row.occurred_at,
            sync_type: row.sync_type,
            output: row.output,
            external_id: row.external_id,
            status: row.status,
            priority: priority_word(row.priority),
            retry_count: row.retry_count,
            max_retries,
            created_at: row.created_at,
            scheduled_at: row.scheduled_at,
            processed_at: row.processed_at,
            discarded_at: row.discarded_at,
            waiting_for: row.waiting_reason,
            warnings: row.warnings.unwrap_or_else(|| Value::Array(Vec::new())),
            traceparent: row.traceparent,
            error,
        }
    }
}

/// One attempt of a row that did not succeed.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    /// The number of the call, if one was made.
    pub call_id: Option<i64>,
    /// When the attempt ended.
    pub attempted_at: DateTime<Utc>,
    /// Who is responsible for the failure.
    pub class: String,
    /// The error code.
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// What happened, without personal data.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The reply's HTTP status.
    pub http_status: Option<i32>,
    /// The time from sending to the reply.
    pub duration_ms: Option<i32>,
    /// `false` if the attempt does not count, because HubSpot had an outage.
    pub counted: bool,
}

impl From<AttemptView> for Attempt {
    fn from(a: AttemptView) -> Self {
        Self {
            call_id: a.call_id,
            attempted_at: a.attempted_at,
            class: a.class,
            code: a.code,
            property: a.property,
            message: a.message,
            hint: a.hint,
            correlation_id: a.correlation_id,
            http_status: a.http_status,
            duration_ms: a.duration_ms,
            counted: a.counted,
        }
    }
}

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

/// One reason why a row is not in HubSpot yet.
#[derive(Debug, Serialize, ToSchema)]
pub struct WhyLine {
    /// `held`, `gate`, `missing`, `scheduled`, `line`, `written`, `association`, `failed` or
    /// `disabled`.
    pub code: &'static str,
    /// The reason as a sentence.
    pub text: String,
    /// When the reason ends without further action.
    pub until: Option<DateTime<Utc>>,
}

impl From<Why> for WhyLine {
    fn from(why: Why) -> Self {
        Self { code: why.code, text: why.text, until: why.until }
    }
}
