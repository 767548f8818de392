//! The way out: HubSpot's API as it is known to behave, and nothing of the queue.
//!
//! A call is tried once; whoever owes it decides about another try. Every reply becomes either
//! per-input verdicts or one classified failure.

pub mod account;
pub mod associate;
pub mod batch;
pub mod body;
pub mod classify;
pub mod client;
pub mod definitions;
pub mod key;
pub mod pacer;
pub mod paths;
pub mod redact;
pub mod setup;

pub use classify::{Blame, Class, Failure};
pub use client::{Answer, Call, Client, Settings};
