//! Leases what is due, folds it, sends it, settles it.
//!
//! One step is one call at most (isolation apart): permit first, then lease, so that the newest
//! events are in the fold. Tests drive [`Worker::step`] by hand; [`pool`] drives it for good.

pub mod account;
mod definitions;
mod deliveries;
pub mod janitor;
pub mod permit;
pub mod pool;
mod step;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::engine::breaker::BreakerPolicy;
use crate::engine::retry::RetryPolicy;
use crate::hubspot::Client;
use crate::hubspot::definitions::DefinitionCache;
use crate::mapping::Mapping;
use crate::queue::delivery::lease::Holder;
use crate::queue::{Queue, QueueError};
use crate::settings::{Live, OnDelete, OnErase, Values};

pub use permit::{Limits, Permits};
pub use step::Step;

/// What a settle and the way back may take beyond the call's time-out.
pub const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// What stays as it is while the process runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// The life of a lease.
    pub lease: Duration,
    /// What the key is put behind, where several applications share an account.
    pub namespace: Option<String>,
    /// Whether a larger limit that HubSpot's headers name is used.
    pub learn_limits: bool,
}

/// How one step works: a snapshot.
#[derive(Debug, Clone)]
struct Settings {
    /// The life of a lease.
    lease: Duration,
    /// When failures are tried again, and how often.
    retry: RetryPolicy,
    /// When an outage closes the gate.
    breaker: BreakerPolicy,
    /// How long a record that cannot be created yet waits for what is missing.
    wait_create: TimeDelta,
    /// What a delete does to a record that HubSpot had before us.
    on_delete: OnDelete,
    /// What an erasure does to it.
    on_erase: OnErase,
    /// What the key is put behind, where several applications share an account.
    namespace: Option<String>,
    /// The time-out of each call.
    timeout: Duration,
}

impl Settings {
    fn of(values: &Values, fixed: &Fixed) -> Self {
        Self {
            lease: fixed.lease,
            retry: RetryPolicy {
                base: Duration::from_millis(values.retry_delay_ms),
                factor: values.retry_factor,
                max_retries: values.max_retries,
                jitter: values.retry_jitter,
                rejected: values.retry_rejected,
            },
            breaker: BreakerPolicy {
                threshold: values.breaker_threshold.into(),
                rest: TimeDelta::seconds(values.breaker_timeout_seconds.into()),
                ..BreakerPolicy::default()
            },
            wait_create: TimeDelta::hours(values.wait_create_hours),
            on_delete: values.on_delete,
            on_erase: values.on_erase,
            namespace: fixed.namespace.clone(),
            timeout: values.timeout,
        }
    }
}

/// One worker: holds at most one lease.
#[derive(Debug, Clone)]
pub struct Worker {
    queue: Queue,
    client: Client,
    mapping: Arc<Mapping>,
    permits: Permits,
    live: Live,
    fixed: Arc<Fixed>,
    /// Of the step that is being made; see [`Worker::frozen`].
    settings: Settings,
    holder: Holder,
    definitions: DefinitionCache,
    conflicts: deliveries::conflicts::Conflicts,
}

impl Worker {
    /// A worker that leases under `name`, with a cache of definitions of its own. Its `permits` keep the limits
    /// of the same settings.
    #[must_use]
    pub fn new(
        queue: Queue,
        client: Client,
        mapping: Arc<Mapping>,
        permits: Permits,
        live: Live,
        fixed: Fixed,
        name: String,
    ) -> Self {
        let ttl = TimeDelta::from_std(fixed.lease).unwrap_or(TimeDelta::seconds(25));
        let (holder, definitions) = (Holder { name, ttl }, DefinitionCache::default());
        let conflicts = deliveries::conflicts::Conflicts::default();
        let settings = Settings::of(&live.now().values, &fixed);
        let fixed = Arc::new(fixed);
        Self {
            queue,
            client,
            mapping,
            permits,
            live,
            fixed,
            settings,
            holder,
            definitions,
            conflicts,
        }
    }

    /// This worker with the settings as they are now, to make one step with; `None` while sending is
    /// switched off.
    fn frozen(&self) -> Option<Self> {
        let now = self.live.now();
        let settings = Settings::of(&now.values, &self.fixed);
        now.values.enabled.then(|| Self { settings, ..self.clone() })
    }

    /// Whether anything is to be sent.
    fn enabled(&self) -> bool {
        self.live.now().values.enabled
    }

    /// The object kinds, parents before their children.
    fn kinds(&self) -> Vec<&str> {
        let mut objects: Vec<_> = self.mapping.objects().iter().collect();
        objects.sort_by_key(|o| o.order);
        objects.into_iter().map(|o| o.sync_type.as_str()).collect()
    }

    async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>, QueueError> {
        self.queue.about_now().await
    }
}
