//! Upkeep of the database: schema migrations, deleting old data, and the record of background
//! tasks.

pub(in crate::queue) mod erasure;
pub mod retention;
pub mod schema;
pub mod tasks;
