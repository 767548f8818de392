//! The values that HubSpot has accepted for a record, hidden or in full.

use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::Visitor;
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::layout::words::masked;
use crate::mapping::is_part;
use crate::operator::views::{Accepted, RecordView};

/// A property with its accepted value.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Property {
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) value: String,
    /// When the event that set the value happened.
    pub(in crate::http::dashboard) at: When,
    pub(in crate::http::dashboard) row: i64,
    pub(in crate::http::dashboard) href: String,
}

/// Reads the accepted values of a record.
pub(in crate::http::dashboard) fn registers(record: &RecordView) -> Result<Accepted, Failure> {
    let mut accepted: Accepted = serde_json::from_value(record.accepted.clone()).map_err(|error| {
        tracing::error!(error = %error, record.id = record.id, "accepted values cannot be read");
        Failure::internal()
    })?;
    accepted.retain(|name, _| !is_part(name));
    Ok(accepted)
}

/// Returns the values in `accepted` that `row` set, or all of them.
pub(in crate::http::dashboard) fn accepted_by(
    accepted: &Accepted,
    row: Option<i64>,
    revealed: bool,
    visitor: &Visitor,
) -> Vec<Property> {
    let of_row = accepted.iter().filter(|(_, r)| row.is_none_or(|row| r.stamp.row == row));
    of_row
        .map(|(name, register)| Property {
            name: name.clone(),
            value: if revealed { register.value.clone() } else { masked(&register.value) },
            at: visitor.when(register.stamp.at),
            row: register.stamp.row,
            href: link::row(register.stamp.row),
        })
        .collect()
}
