//! The command line.
#![allow(missing_docs)]
pub mod cluster;
