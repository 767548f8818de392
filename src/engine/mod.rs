//! Decides what is sent and what becomes of it. Pure: no I/O, no clock, no chance; time and chance
//! are arguments. The worker calls HubSpot and the queue with what is decided here; the preview shows
//! it to people.

pub mod breaker;
pub mod coerce;
pub mod fold;
pub mod plan;
pub mod preview;
pub mod retry;
pub mod verdict;
