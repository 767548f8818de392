//! The queue: what is stored, counted and forgotten.

pub mod accounting;
pub mod arrival;
pub mod erasure;
pub mod intake;
pub mod migrations;
pub mod plans;
pub mod races;
