//! Accepting events: the body is read, parsed, checked, counted and stored. Also their status.

pub(super) mod admission;
pub mod body;
pub mod ingest;
pub mod parse;
pub mod parser;
pub mod rate;
mod repair;
pub mod status;
