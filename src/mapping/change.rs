//! A change is what one event means for one record.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::{Event, EventType, Priority};

/// What a mapping reads from an event.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Selects the mapping files and the operation.
    pub event_type: &'a EventType,
    /// Becomes the external id of the record.
    pub subject: &'a str,
    /// Supplies the properties and the associations.
    pub data: &'a Map<String, Value>,
}

impl<'a> From<&'a Event> for Input<'a> {
    fn from(event: &'a Event) -> Self {
        Self { event_type: &event.event_type, subject: &event.subject, data: &event.data }
    }
}

/// What shall happen to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// Create the record or update it.
    Upsert,
    /// Move the record to HubSpot's recycle bin.
    Archive,
    /// Remove the record and every trace of it.
    Erase,
}

/// The text is not an operation.
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

/// A value in the data that could not be used, although the event was not refused for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// A stable snake_case code: that of the fault it would have been, or of what was done instead,
    /// such as `incomplete_parts`, `truncated`, `time_cut`, `read_only`, `stage_kept`.
    pub code: String,
    /// The property or association slot concerned.
    pub property: Option<String>,
    /// A sentence for people. It never contains the value.
    pub message: String,
}

/// What one event means for one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The object kind.
    pub sync_type: String,
    /// The output of the mapping file that makes the change. An event's outputs differ, so this is
    /// how a change is told from its siblings.
    pub output: String,
    /// The application's id of the record.
    pub external_id: String,
    /// What shall happen to the record.
    pub operation: Operation,
    /// The default of the mapping file. A priority in the event takes precedence.
    pub priority: Priority,
    /// Texts by HubSpot property name. An empty text clears the property. Always empty unless the
    /// operation is an upsert.
    pub properties: BTreeMap<String, String>,
    /// The e-mail address by which HubSpot recognises the record, if the change has one.
    pub email: Option<String>,
    /// The external id of the target by slot; `None` removes the association. Always empty unless
    /// the operation is an upsert.
    pub associations: BTreeMap<String, Option<String>>,
    /// The parts of properties that are made of several values, as JSON: see [`Mapping::compose`].
    ///
    /// [`Mapping::compose`]: super::Mapping::compose
    pub parts: BTreeMap<String, String>,
    /// What was left out or changed while mapping.
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
