//! The worker: what it sends, and what becomes of it.

pub mod adoption;
pub mod along;
pub mod associations;
pub mod background;
pub mod conflicts;
pub mod deletion;
pub mod gates;
pub mod lost;
pub mod merges;
pub mod outages;
pub mod pacing;
pub mod retries;
pub mod shared;
pub mod windows;
