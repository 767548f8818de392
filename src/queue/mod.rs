//! The queue stores what must still be sent to HubSpot. No other code accesses its tables.
//!
//! Records are delivered; queue rows are what is counted. A lease ends only under its own token, so
//! a worker that lost it cannot change the record. Records are locked in the order of their ids, to
//! avoid deadlocks. No transaction outlives the function that began it. The queue knows nothing
//! about HTTP.

pub mod actions;
pub mod audit;
pub mod definitions;
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
pub mod watchdog;

pub use error::QueueError;
pub use handle::Queue;
