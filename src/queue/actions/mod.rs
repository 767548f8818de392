//! What a person decides: retry, discard, resync and their kin.

pub(in crate::queue) mod decisions;
pub mod retry;
