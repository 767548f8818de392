//! Actions that a person takes: retry, discard, resync and similar ones.

pub mod decisions;
mod discard;
pub mod resync;
pub mod retry;
