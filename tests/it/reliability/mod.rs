//! Everything that can go wrong, at random and all at once.

pub mod chaos;
pub mod corpus;
pub mod crash;
pub mod hostile;
pub mod simulation;
pub mod soak;
