//! Events: what the application reported, admitted once and immutable from then on.
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
    /// The HubSpot account it goes to; `default` is the only one.
    pub portal: String,
    /// Who reported it, the `source` attribute or the default.
    pub source: String,
    /// The sender's id of the event, or a new UUID.
    pub id: String,
    /// What happened to what kind of thing.
    pub event_type: EventType,
    /// The application's id of the thing, 1 to 512 characters.
    pub subject: String,
    /// When it happened, in whole microseconds, which is all that Postgres keeps. Without one the
    /// database stamps it when it is stored, in the order of arrival.
    pub time: Option<DateTime<Utc>>,
    /// The sender's wish; the mapping's own default holds without one.
    pub priority: Option<Priority>,
    /// The trace it belongs to, by W3C Trace Context.
    pub traceparent: Option<String>,
    /// What the application says of the thing.
    pub data: Map<String, Value>,
    /// The hash of the event as sent, before any default and without its trace, to tell a repeat from a conflict.
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
