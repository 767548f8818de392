//! Upkeep of the database: schema migrations, and deleting old data.

mod erasure;
pub mod retention;
pub mod schema;
