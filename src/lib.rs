//! hubferry
pub mod cli;
