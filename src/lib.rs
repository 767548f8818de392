//! hubferry sends what happens in an application to HubSpot CRM, in this direction only.
//!
//! The modules are listed in the order in which data passes through them. ARCHITECTURE.md shows how
//! they depend on each other.

pub mod event;
pub mod mapping;

pub mod queue;

pub mod access;
pub mod settings;

pub mod hubspot;

pub mod engine;

pub mod portals;

pub mod worker;

pub mod operator;

pub mod http;

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
