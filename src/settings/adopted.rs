//! How to treat adopted records: those that HubSpot had before hubferry.

use serde::{Deserialize, Serialize};

/// What a delete does to an adopted record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// The record is unlinked and stays in HubSpot.
    #[default]
    Unlink,
    /// The record is archived like any other.
    Archive,
}

/// What an erasure does to an adopted record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnErase {
    /// A person decides.
    #[default]
    Ask,
    /// The record is erased like any other.
    Erase,
}
