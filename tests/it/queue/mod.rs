//! The queue: what is stored, counted and forgotten.

pub mod accounting;
pub mod arrival;
pub mod erasure;
pub mod intake;
pub mod migrations;
pub mod outputs;
pub mod plans;
pub mod portals;
pub mod races;
