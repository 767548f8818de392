//! The types that answers share: rows, records, attempts and pages.

mod record;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::operator::Reveal;
use crate::operator::views::{Actor, AttemptView, Listing, Role, RowView, Why};

pub use record::{AcceptedValue, Association, Record};

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
