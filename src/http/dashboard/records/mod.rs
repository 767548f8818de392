//! Pages about records: the list and one record.

pub(super) mod accepted;
pub(super) mod detail;
pub(super) mod list;
