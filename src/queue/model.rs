//! The queue's basic types: statuses, stages, stamps, leases and reasons.

mod lookup;
mod record;

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::event::Priority;
use crate::mapping::Operation;

pub use lookup::Lookup;

/// The status of a queue row, as the API and the dashboard show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The row waits to be processed.
    Pending,
    /// The row's record is leased by a worker.
    Processing,
    /// The row is done: HubSpot holds its values or newer ones.
    Synced,
    /// The row failed and is scheduled for another try.
    Retry,
    /// The row failed and needs a person.
    Failed,
}

impl Status {
    /// All statuses, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Synced, Self::Retry, Self::Failed];

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Synced => "synced",
            Self::Retry => "retry",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for Status {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|s| s.as_str() == text).ok_or_else(|| {
            format!("`{text}` is no status: use pending, processing, synced, retry or failed")
        })
    }
}

/// The call that a record is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Erase the record permanently.
    Erase,
    /// Archive the record, because a delete is owed.
    Archive,
    /// Look up a HubSpot record, because it holds a unique value of this record.
    Resolve,
    /// Create the record: it has no link yet, so it is upserted by hubferry's key.
    Create,
    /// Update the linked record, by HubSpot's id.
    Update,
    /// Send associations only, because nothing else is owed.
    Associate,
}

impl Stage {
    /// All stages. At equal rank the earlier stage goes first.
    pub const ALL: [Self; 6] =
        [Self::Erase, Self::Archive, Self::Resolve, Self::Create, Self::Update, Self::Associate];

    /// The name in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Archive => "archive",
            Self::Resolve => "resolve",
            Self::Create => "create",
            Self::Update => "update",
            Self::Associate => "associate",
        }
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("unknown stage `{text}`"))
    }
}

/// When and from which row a value comes. The greatest stamp wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// When the event happened.
    pub at: DateTime<Utc>,
    /// The id of the queue row that carries the value.
    pub row: i64,
}

/// A value with its stamp: one last-writer-wins register. It is stored as `[value, time, row]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, DateTime<Utc>, i64)", into = "(String, DateTime<Utc>, i64)")]
pub struct Register {
    /// The value. An empty value clears the property.
    pub value: String,
    /// Where it comes from.
    pub stamp: Stamp,
}

impl From<(String, DateTime<Utc>, i64)> for Register {
    fn from((value, at, row): (String, DateTime<Utc>, i64)) -> Self {
        Self { value, stamp: Stamp { at, row } }
    }
}

impl From<Register> for (String, DateTime<Utc>, i64) {
    fn from(register: Register) -> Self {
        (register.value, register.stamp.at, register.stamp.row)
    }
}

/// The values of a record that HubSpot has accepted.
pub type Accepted = BTreeMap<String, Register>;

/// The head start of a priority: a low row is sent before any high row that arrives ten minutes
/// later.
#[must_use]
pub fn head_start(priority: Priority) -> TimeDelta {
    TimeDelta::minutes(match priority {
        Priority::High => 10,
        Priority::Normal => 5,
        Priority::Low => 0,
    })
}

pub(in crate::queue) fn priority_number(priority: Priority) -> i16 {
    match priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    }
}

pub(in crate::queue) fn priority_of(number: i16) -> Priority {
    match number {
        0 => Priority::High,
        1 => Priority::Normal,
        _ => Priority::Low,
    }
}

/// The exclusive right to a batch of records, which expires. Settling or releasing consumes it.
#[derive(Debug)]
pub struct Lease {
    /// The fencing token, which all records of the batch carry. It stops a worker whose lease
    /// expired.
    pub token: i64,
    /// When it expires, on the queue's clock.
    pub until: DateTime<Utc>,
}

/// The error code of an erasure that waits for a person, because HubSpot had the record before
/// hubferry.
pub const ADOPTED_RECORD: &str = "ADOPTED_RECORD";

/// A leased record.
#[derive(Debug)]
pub struct Record {
    /// The record's id in the queue.
    pub id: i64,
    /// The application's id of the entity.
    pub external_id: String,
    /// The id of the linked HubSpot record.
    pub hubspot_id: Option<String>,
    /// The values that HubSpot has accepted.
    pub accepted: Accepted,
    /// The newest delete.
    pub tombstone: Option<Stamp>,
    /// The token of the last call without a definite verdict. 0 if there is no doubt.
    pub doubt: i64,
    /// What must be looked up before the next write, or what the last look-up found.
    pub lookup: Option<Lookup>,
    /// Whether other subjects share its HubSpot record, because people merged records.
    pub shared: bool,
    /// The last link, if HubSpot no longer knows it.
    pub lost_link: Option<String>,
    /// Whether HubSpot had the record before hubferry.
    pub adopted: bool,
    /// Whether a person has confirmed that an erasure deletes the adopted record too.
    pub erase_confirmed: bool,
    /// The number of transient failures in a row.
    pub failures: i32,
    /// The open rows that are not written yet, oldest first.
    pub rows: Vec<Row>,
}

/// An open row of a leased record.
#[derive(Debug)]
pub struct Row {
    /// The row's id.
    pub id: i64,
    /// The output of the mapping file that made the change, by which its change is found again.
    pub output: String,
    /// What the row asks for.
    pub operation: Operation,
    /// The number of failed deliveries so far.
    pub retry_count: i32,
    /// The row failed because of HubSpot, and is sent along with its record. It is not retried on
    /// its own.
    pub along: bool,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When the event happened.
    pub occurred_at: DateTime<Utc>,
    /// The event's type.
    pub event_type: String,
    /// The event's subject.
    pub subject: String,
    /// The event's data; `None` once erased.
    pub data: Option<serde_json::Value>,
    /// The alias that the event belongs to, if that is not the record itself.
    pub of_alias: Option<i64>,
    /// The newest delete of that alias.
    pub alias_tombstone: Option<Stamp>,
}

impl Row {
    /// The stamp of every value that this row carries.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { at: self.occurred_at, row: self.id }
    }
}

/// A batch of leased records of one kind, due for one call.
#[derive(Debug)]
pub struct Batch {
    /// The lease of the records.
    pub lease: Lease,
    /// The object kind.
    pub sync_type: String,
    /// The call that they are due for.
    pub stage: Stage,
    /// The records, lowest rank first.
    pub records: Vec<Record>,
}

/// Why a row failed or waits, as shown to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The class of the cause: `transient`, `rejected` …
    pub class: &'static str,
    /// A stable code. It is HubSpot's code if there is one.
    pub code: String,
    /// The property that caused it.
    pub property: Option<String>,
    /// What happened, without personal data.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The HTTP status of the reply.
    pub http_status: Option<i32>,
}
