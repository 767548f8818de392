//! Decides what is sent to HubSpot and what its answer means. Pure: no I/O, clock or randomness;
//! time and random numbers are arguments. The worker calls HubSpot and updates the queue as decided
//! here. The preview shows the same decisions to people.

pub mod breaker;
pub mod coerce;
pub mod fold;
pub mod gates;
pub mod plan;
pub mod preview;
pub mod retry;
pub mod verdict;
