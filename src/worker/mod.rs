//! The engine: leases what is due, folds it, sends it, settles it.
//!
//! One step is one call at most (isolation apart): permit first, then lease, so that the newest
//! events are in the fold. Tests drive [`Worker::step`] by hand; [`pool`] drives it for good.

pub mod account;
mod archive;
mod associate;
pub mod breaker;
mod conflicts;
mod day;
mod deliver;
pub mod explain;
mod fitting;
pub mod fold;
mod isolate;
pub mod janitor;
pub mod permit;
pub mod plan;
pub mod pool;
mod resolve;
pub mod retry;
mod schema;
mod step;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::hubspot::Client;
use crate::mapping::Mapping;
use crate::queue::lease::Holder;
use crate::queue::{Queue, QueueError};

pub use breaker::BreakerPolicy;
pub use permit::{Limits, Permits};
pub use retry::RetryPolicy;
pub use schema::Schema;
pub use step::Step;

/// What a settle and the way back may take beyond the call's time-out.
pub const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The life of a lease.
    pub lease: Duration,
    /// When failures are tried again, and how often.
    pub retry: RetryPolicy,
    /// When an outage closes the gate.
    pub breaker: BreakerPolicy,
    /// How long a record that cannot be created yet waits for what is missing.
    pub wait_create: TimeDelta,
    /// What the key is put behind, where several applications share an account.
    pub namespace: Option<String>,
}

/// One worker: holds at most one lease.
#[derive(Debug, Clone)]
pub struct Worker {
    queue: Queue,
    client: Client,
    mapping: Arc<Mapping>,
    permits: Permits,
    settings: Settings,
    holder: Holder,
    schema: Schema,
    conflicts: conflicts::Conflicts,
}

impl Worker {
    /// A worker that leases under `name`, with a schema of its own.
    #[must_use]
    pub fn new(
        queue: Queue,
        client: Client,
        mapping: Arc<Mapping>,
        permits: Permits,
        settings: Settings,
        name: String,
    ) -> Self {
        let ttl = TimeDelta::from_std(settings.lease).unwrap_or(TimeDelta::seconds(25));
        let (holder, schema) = (Holder { name, ttl }, Schema::default());
        let conflicts = conflicts::Conflicts::default();
        Self { queue, client, mapping, permits, settings, holder, schema, conflicts }
    }

    /// The object kinds, parents before their children.
    fn kinds(&self) -> Vec<&str> {
        let mut objects: Vec<_> = self.mapping.objects().iter().collect();
        objects.sort_by_key(|o| o.order);
        objects.into_iter().map(|o| o.sync_type.as_str()).collect()
    }

    async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>, QueueError> {
        self.queue.now().await
    }
}
