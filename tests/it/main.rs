//! The integration tests, in one binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

mod cluster;
mod mapping;
mod sandbox;
mod tidy;
