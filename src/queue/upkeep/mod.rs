//! The schema, and what is forgotten with time.

pub mod retention;
pub mod schema;
