//! Read-only queries for the API and the dashboard. They change nothing.

pub mod errors;
pub mod filter;
pub mod inspect;
pub mod list;
pub mod logs;
pub mod page;
pub mod preview;
pub mod pulse;
pub mod records;
pub mod totals;
pub mod why;
