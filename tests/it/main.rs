//! The integration tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::type_complexity,
    unreachable_pub
)]
#![allow(clippy::disallowed_methods, reason = "tests own their tasks")]

mod app;
mod cli;
mod engine;
mod http;
mod hubspot;
mod mapping;
mod queue;
mod reliability;
mod support;
mod tidy;
mod worker;
mod workspace;
