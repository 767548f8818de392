//! hubferry carries what happens in an application into HubSpot CRM, one way.
//!
//! The modules, in the order of the data's way; ARCHITECTURE.md shows how they belong together.

pub mod event;
pub mod mapping;

pub mod queue;

pub mod access;
pub mod settings;

pub mod hubspot;

pub mod engine;

pub mod worker;

pub mod http;

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
