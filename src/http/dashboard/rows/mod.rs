//! Pages about rows: the list, one row, and actions on many rows.

pub(super) mod bulk;
pub(super) mod detail;
pub(super) mod line;
pub(super) mod list;
mod preview;
mod timeline;
