//! HubSpot's rate limit: the ledger of the rolling window, and the day.

pub(in crate::queue) mod day;
pub mod ledger;
