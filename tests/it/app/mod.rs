//! The process: the database, poolers, settings, telemetry.

pub mod database;
pub mod pooler;
pub mod settings;
pub mod telemetry;
