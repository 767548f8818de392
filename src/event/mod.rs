//! Events: what the application reported. An event is admitted once and never changes afterwards.
//!
//! Everything here is pure: the time and new ids are arguments, and nothing is read or written.

mod admit;
mod event_type;
mod fault;
mod hash;
mod priority;
#[cfg(test)]
mod tests;
mod weight;

use std::fmt;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

pub use admit::{
    Admission, DEFAULT_PORTAL, MAX_EVENT_BYTES, admit, admit_owned, legible, traceparent,
};
pub(crate) use event_type::is_word;
pub use event_type::{EventType, MalformedEventType};
pub(crate) use fault::child;
pub use fault::{Fault, Faults};
pub use hash::canonical_hash;
pub use priority::{Priority, UnknownPriority};
pub use weight::is_too_large;

/// An admitted event. `(portal, source, id)` is its idempotency key.
#[derive(Clone)]
pub struct Event {
    /// The HubSpot account that the event goes to. `default` is the only one.
    pub portal: String,
    /// Who reported it: the `source` attribute, or the default source.
    pub source: String,
    /// The sender's id for the event, or a new UUID.
    pub id: String,
    /// What happened to what kind of thing.
    pub event_type: EventType,
    /// The application's id of the thing, 1 to 512 characters long.
    pub subject: String,
    /// When it happened, in whole microseconds, which is what Postgres stores. If absent, the
    /// database sets the time when it stores the event, in the order of arrival.
    pub time: Option<DateTime<Utc>>,
    /// The priority that the sender asks for. If absent, the mapping's default applies.
    pub priority: Option<Priority>,
    /// The trace it belongs to, as defined by W3C Trace Context.
    pub traceparent: Option<String>,
    /// What the application says about the thing.
    pub data: Map<String, Value>,
    /// The hash of the event as sent, before defaults are applied and without its trace. It tells a
    /// repeat from a conflict.
    pub hash: [u8; 32],
}

/// Leaves out `subject` and `data`: both may hold personal data, and Debug output reaches logs.
impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("portal", &self.portal)
            .field("source", &self.source)
            .field("id", &self.id)
            .field("event_type", &self.event_type)
            .field("time", &self.time)
            .field("priority", &self.priority)
            .finish_non_exhaustive()
    }
}
