//! Actions that a person takes: retry, discard, resync and similar ones.

pub(in crate::queue) mod decisions;
pub mod retry;
