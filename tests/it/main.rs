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
mod adoption;
mod along;
mod api;
mod arrival;
mod associations;
mod browser;
mod chaos;
mod classification;
mod cli;
mod cluster;
mod conflicts;
mod convergence;
mod corpus;
mod crash;
mod dashboard;
mod database;
mod deletion;
mod door;
mod erasure;
mod gates;
mod hostile;
mod intake;
mod lost;
mod mapping;
mod merges;
mod migrations;
mod outages;
mod pacing;
mod plans;
mod pooler;
mod races;
mod replies;
mod retries;
mod sandbox;
mod schema;
mod serving;
mod settings;
mod shared;
mod simulation;
mod soak;
mod support;
mod telemetry;
mod tidy;
mod values;
mod windows;
