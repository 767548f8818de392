//! What becomes of records that HubSpot had before us.

use serde::{Deserialize, Serialize};

/// What a delete does to an adopted record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDelete {
    /// It is unlinked and stays in HubSpot.
    #[default]
    Unlink,
    /// It is archived like any other.
    Archive,
}

/// What an erasure does to an adopted record.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnErase {
    /// A person decides.
    #[default]
    Ask,
    /// It is erased like any other.
    Erase,
}
