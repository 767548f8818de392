//! Upkeep of the database: schema migrations, and deleting old data.

pub mod retention;
pub mod schema;
