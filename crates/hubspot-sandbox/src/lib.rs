//! A simulated HubSpot account: an HTTP server with the parts of HubSpot's CRM API that a push
//! integration uses, its limits, its refusals and, on demand, its faults.
//!
//! With it, everything can be tried without a HubSpot account. The tests and the demo use it. It
//! shares no code with the client, so the two cannot share a misunderstanding. Calls are performed
//! one at a time, under a lock that is never held while waiting.

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
