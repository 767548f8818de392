//! What HubSpot has accepted of a record, hidden or in full.

use super::failure::Failure;
use super::link;
use super::page::Visitor;
use super::when::When;
use super::words::masked;
use crate::mapping::is_part;
use crate::queue::model::Accepted;
use crate::queue::views::records::RecordView;

/// An accepted property.
#[derive(Debug, Clone)]
pub(super) struct Property {
    pub(super) name: String,
    pub(super) value: String,
    /// When the event happened that set it.
    pub(super) at: When,
    pub(super) row: i64,
    pub(super) href: String,
}

/// The registers of a record.
pub(super) fn registers(record: &RecordView) -> Result<Accepted, Failure> {
    let mut accepted: Accepted = serde_json::from_value(record.accepted.clone()).map_err(|error| {
        tracing::error!(error = %error, record.id = record.id, "accepted values cannot be read");
        Failure::internal()
    })?;
    accepted.retain(|name, _| !is_part(name));
    Ok(accepted)
}

/// Those of `accepted` that `row` set, or all of them.
pub(super) fn accepted_by(
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
