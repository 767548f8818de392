//! The queue's words as types: statuses, stages, stamps, leases, reasons.

use std::collections::BTreeMap;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::event::Priority;
use crate::mapping::Operation;

/// The status of a queue row, as everybody outside sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Awaiting processing.
    Pending,
    /// Its record is leased by a worker.
    Processing,
    /// Done: HubSpot holds it, or something newer.
    Synced,
    /// Scheduled for another try.
    Retry,
    /// Needs a person.
    Failed,
}

impl Status {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Processing, Self::Synced, Self::Retry, Self::Failed];

    /// The word, in lower case.
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

/// Which call a record is due for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Erase it for good.
    Erase,
    /// Archive it: a delete is owed.
    Archive,
    /// HubSpot holds a unique value of it elsewhere: look whose record that is.
    Resolve,
    /// Not linked yet: upsert by our key.
    Create,
    /// Linked: update by HubSpot's id.
    Update,
    /// Only associations are owed.
    Associate,
}

impl Stage {
    /// All of them; at equal rank an earlier one goes first.
    pub const ALL: [Self; 6] =
        [Self::Erase, Self::Archive, Self::Resolve, Self::Create, Self::Update, Self::Associate];

    /// The word in the table.
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

/// Where a value comes from; the greatest stamp wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp {
    /// When the event happened.
    pub at: DateTime<Utc>,
    /// The queue row that carries it.
    pub row: i64,
}

/// A value with its stamp: one last-writer-wins register. Stored as `[value, time, row]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, DateTime<Utc>, i64)", into = "(String, DateTime<Utc>, i64)")]
pub struct Register {
    /// The value; empty clears the property.
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

/// What HubSpot has accepted of a record.
pub type Accepted = BTreeMap<String, Register>;

/// The head start of a priority: a low row goes before any high row that came ten minutes later.
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

/// The exclusive, expiring right to a batch of records. Consumed by settling or releasing.
#[derive(Debug)]
pub struct Lease {
    /// The fencing token: all records of the batch carry it.
    pub token: i64,
    /// When it expires, on the queue's clock.
    pub until: DateTime<Utc>,
}

/// A record's `resolve`: look for one with its address before it is created.
pub const READ_AHEAD: &str = "?";
/// A record's `resolve`: looked for, and nothing is there.
pub const NOTHING_THERE: &str = "!";
/// A record's `resolve`: HubSpot named no id, so look for what it is in conflict with by its address.
pub const BY_EMAIL: &str = "";
/// A record's `resolve` begins with it: look for it by its key, since it may not be created yet, or since
/// a lost call may have created it. Then comes the id that it is in conflict with, if HubSpot named one.
pub const BY_KEY: &str = "#";
/// A record's `resolve`: looked for by its key, and it is not there.
pub const NOT_BY_KEY: &str = "~";
/// A record's `resolve`: its link was read and is still its own, so it may be archived.
pub const ITS_OWN: &str = "=";
/// A record's `resolve`: found by our key after its delete was done; it goes once more.
pub const GO_AGAIN: &str = "-";

/// The code of an erasure that waits for a person, since HubSpot had the record before us.
pub const ADOPTED_RECORD: &str = "ADOPTED_RECORD";

/// A leased record.
#[derive(Debug)]
pub struct Record {
    /// Our number of it.
    pub id: i64,
    /// The application's id of the entity.
    pub external_id: String,
    /// The link.
    pub hubspot_id: Option<String>,
    /// What HubSpot has accepted.
    pub accepted: Accepted,
    /// The newest delete.
    pub tombstone: Option<Stamp>,
    /// Token of the last call without a definite verdict; 0 when certain.
    pub doubt: i64,
    /// The HubSpot record that holds a unique value of ours; empty where it is not known yet. See
    /// the marks above, such as [`READ_AHEAD`].
    pub resolve: Option<String>,
    /// Whether other subjects share its HubSpot record, after people merged theirs into it.
    pub shared: bool,
    /// The last link, if HubSpot knew it no longer.
    pub lost_link: Option<String>,
    /// Whether HubSpot had its record before us.
    pub adopted: bool,
    /// Whether a person has decided that an erasure takes the adopted record along.
    pub erase_confirmed: bool,
    /// Transient failures in a row.
    pub failures: i32,
    /// Its open rows that are not written yet, oldest first.
    pub rows: Vec<Row>,
}

/// An open row of a leased record.
#[derive(Debug)]
pub struct Row {
    /// Its number.
    pub id: i64,
    /// What it asks for.
    pub operation: Operation,
    /// Failed deliveries so far.
    pub retry_count: i32,
    /// It has failed by HubSpot's fault, and goes along with its record: the clock tries nothing more
    /// for its sake.
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
    /// The alias whose event it is, where that is not the record itself.
    pub of_alias: Option<i64>,
    /// The newest delete of that alias.
    pub alias_tombstone: Option<Stamp>,
}

impl Row {
    /// The stamp of every value this row carries.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp { at: self.occurred_at, row: self.id }
    }
}

/// A batch of leased records of one kind, due for one call.
#[derive(Debug)]
pub struct Batch {
    /// The right to them.
    pub lease: Lease,
    /// The object kind.
    pub sync_type: String,
    /// The call they are due for.
    pub stage: Stage,
    /// The records, first in line first.
    pub records: Vec<Record>,
}

/// Why a row failed or waits, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Whose fault: `transient`, `rejected` …
    pub class: &'static str,
    /// Stable word, HubSpot's where it gives one.
    pub code: String,
    /// The property at fault.
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
