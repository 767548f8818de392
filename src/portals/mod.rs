//! A portal is one HubSpot account, with everything that belongs to it.
//!
//! Its queue, mapping, settings, property definitions and connection are one value, which goes
//! through the whole service. A handle of one portal reaches nothing of another.

mod definitions;
mod permit;

use std::sync::Arc;

use crate::hubspot::Client;
use crate::mapping::Mapping;
use crate::queue::Queue;
use crate::settings::Live;

pub use definitions::SharedDefinitions;
pub use permit::{Limits, NoPermit, Permit, Permits, WINDOW};

/// A portal. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Portal {
    /// Its part of the queue.
    pub queue: Queue,
    /// The mapping in force.
    pub mapping: Arc<Mapping>,
    /// The settings in force.
    pub settings: Live,
    /// The property definitions of the HubSpot account.
    pub definitions: SharedDefinitions,
}

/// The connection to a portal's HubSpot account. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Makes the calls.
    pub client: Client,
    /// Decides when a call may be made, and records it.
    pub permits: Permits,
}

impl Portal {
    /// Creates the portal that `queue` is bound to.
    #[must_use]
    pub fn new(queue: &Queue, mapping: Arc<Mapping>, settings: Live) -> Self {
        let definitions = SharedDefinitions::new(queue.clone());
        Self { queue: queue.clone(), mapping, settings, definitions }
    }

    /// Returns the same portal with another mapping.
    #[must_use]
    pub fn with_mapping(&self, mapping: Arc<Mapping>) -> Self {
        Self { mapping, ..self.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.queue.portal()
    }
}
