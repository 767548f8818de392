//! Everything that stops sending: gates, the circuit breaker and the account check.

pub mod account;
pub mod breaker;
pub mod gate;
pub mod kind;
