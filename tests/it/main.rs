//! The integration tests, in one binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::type_complexity,
    unreachable_pub
)]
#![allow(clippy::disallowed_methods, reason = "tests own their tasks")]

mod accounting;
mod api;
mod associations;
mod browser;
mod classification;
mod cli;
mod cluster;
mod conflicts;
mod convergence;
mod crash;
mod dashboard;
mod deletion;
mod door;
mod gates;
mod mapping;
mod outages;
mod races;
mod replies;
mod retries;
mod sandbox;
mod schema;
mod settings;
mod soak;
mod support;
mod tidy;
mod windows;
