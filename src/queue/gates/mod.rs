//! Why nothing is sent: gates, the circuit breaker, the account.

pub mod account;
pub mod breaker;
pub mod gate;
