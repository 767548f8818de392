//! The other crates of the workspace.

pub mod cluster;
pub mod sandbox;
