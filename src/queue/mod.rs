//! What is owed to HubSpot: the only code that touches the queue's tables.
//!
//! The record is the unit of delivery, the queue row the unit of accounting. Every way out of
//! *leased* is fenced by the lease's token, records are locked in the order of their ids, and no
//! transaction outlives the function that opened it. Nothing here knows HTTP.

pub mod actions;
pub mod audit;
pub mod delivery;
pub mod doubt;
mod error;
pub mod gates;
mod handle;
pub mod intake;
pub mod model;
pub mod quota;
pub mod settings;
pub mod upkeep;
pub mod views;

pub use error::QueueError;
pub use handle::{PORTAL, Queue};
