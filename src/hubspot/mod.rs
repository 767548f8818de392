//! The client for HubSpot's API. It knows how the API behaves, and nothing about the queue.
//!
//! Each call is sent once; the caller decides whether to retry. Every reply becomes either verdicts
//! for each input or one classified failure.

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
