//! HubSpot's rate limit: the ledger of the rolling window, and the account's day.

pub(in crate::queue) mod day;
pub mod ledger;
