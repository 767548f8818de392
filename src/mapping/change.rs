//! A change: what one event means for one record.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{Event, EventType, Priority};

/// What a mapping looks at.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Chooses the files and the operation.
    pub event_type: &'a EventType,
    /// Becomes the external id.
    pub subject: &'a str,
    /// Feeds the properties and the associations.
    pub data: &'a Map<String, Value>,
}

impl<'a> From<&'a Event> for Input<'a> {
    fn from(event: &'a Event) -> Self {
        Self { event_type: &event.event_type, subject: &event.subject, data: &event.data }
    }
}

/// What is to happen to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Create it or write to it.
    Upsert,
    /// Put it in HubSpot's recycle bin.
    Archive,
    /// Remove it and every trace of it.
    Erase,
}

/// The text is no operation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `upsert`, `archive` or `erase`")]
pub struct UnknownOperation;

impl Operation {
    /// The word used in files and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upsert => "upsert",
            Self::Archive => "archive",
            Self::Erase => "erase",
        }
    }
}

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "upsert" => Ok(Self::Upsert),
            "archive" => Ok(Self::Archive),
            "erase" => Ok(Self::Erase),
            _ => Err(UnknownOperation),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something in the data that could not be used, without being worth a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// Stable, snake_case: the code of the fault it would have been, or what was done instead, such
    /// as `incomplete_parts`, `truncated`, `time_cut`, `read_only`, `stage_kept`.
    pub code: String,
    /// The property or slot concerned.
    pub property: Option<String>,
    /// A sentence that never holds the value.
    pub message: String,
}

/// What one event means for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the record.
    pub external_id: String,
    /// What is to happen.
    pub operation: Operation,
    /// The file's default; the event's own wish comes before it.
    pub priority: Priority,
    /// HubSpot's name to text; empty text clears. Always empty unless an upsert.
    pub properties: BTreeMap<String, String>,
    /// The e-mail address by which HubSpot recognises such a record, if the change carries one.
    pub email: Option<String>,
    /// Slot to the external id of its target; `None` drops. Always empty unless an upsert.
    pub associations: BTreeMap<String, Option<String>>,
    /// What properties are made of that look at several places, as JSON: see [`Mapping::compose`].
    ///
    /// [`Mapping::compose`]: super::Mapping::compose
    pub parts: BTreeMap<String, String>,
    /// What was left out or changed on the way.
    pub warnings: Vec<Warning>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_back_from_their_words() {
        for operation in [Operation::Upsert, Operation::Archive, Operation::Erase] {
            assert_eq!(operation.to_string().parse(), Ok(operation));
        }
        assert_eq!("Upsert".parse::<Operation>(), Err(UnknownOperation));
    }
}
