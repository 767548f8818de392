//! A HubSpot account, simulated: an HTTP server with the parts of HubSpot's CRM API that a push
//! integration uses, its quotas, its refusals and, on demand, its faults.
//!
//! It exists so that everything can be tried without an account: it is what the tests run against
//! and what the demo shows. It shares no code with the client, so the two cannot share a
//! misunderstanding. One call at a time is carried out, under one lock that is never held while
//! waiting.

mod account;
mod api;
mod clock;
mod faults;
mod kinds;
mod sandbox;
mod server;
mod settings;
mod view;
mod wire;

pub use account::call_log::CallView;
pub use faults::{ApplyThenFail, DropInputs, FailHow, Faults, Locked, Migrating, Outage, Poison};
pub use sandbox::Sandbox;
pub use settings::Settings;
pub use view::{AssociationView, ObjectView};
