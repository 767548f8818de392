//! The worker leases due records, folds their rows, sends the result to HubSpot and settles it.
//!
//! One step makes at most one call, except for isolation. It gets the permit first and leases
//! afterwards, so that the fold includes the newest events. Tests call [`Worker::step`] directly;
//! [`pool`] runs it in production.

pub mod account;
pub mod background;
pub mod definitions;
mod deliveries;
mod gates;
pub mod janitor;
pub mod pool;
mod step;
mod work;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;

use crate::engine::breaker::BreakerPolicy;
use crate::engine::retry::RetryPolicy;
use crate::mapping::Mapping;
use crate::portals::{Connection, Portal};
use crate::queue::QueueError;
use crate::queue::delivery::lease::Holder;
use crate::settings::{OnDelete, OnErase, Values};

pub use step::Step;

/// The time that the settle and the way back may take, in addition to the call's timeout.
pub const SETTLE_MARGIN: Duration = Duration::from_secs(5);

/// Settings that stay the same while the process runs.
#[derive(Debug, Clone)]
pub struct Fixed {
    /// How long a lease lasts.
    pub lease: Duration,
    /// The prefix of the key, for accounts that several applications share.
    pub namespace: Option<String>,
    /// Whether a larger limit in HubSpot's headers is used.
    pub learn_limits: bool,
}

/// The settings of one step: a snapshot, so that a change takes effect only with the next step.
#[derive(Debug, Clone)]
struct Settings {
    /// How long a lease lasts.
    lease: Duration,
    /// When and how often failures are retried.
    retry: RetryPolicy,
    /// When an outage closes the gate.
    breaker: BreakerPolicy,
    /// How long a record that cannot be created yet waits for what is missing.
    wait_create: TimeDelta,
    /// What a delete does to an adopted record, which existed in HubSpot before hubferry.
    on_delete: OnDelete,
    /// What an erasure does to an adopted record.
    on_erase: OnErase,
    /// The prefix of the key, for accounts that several applications share.
    namespace: Option<String>,
    /// The timeout of each call.
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

/// One worker. It holds at most one lease at a time.
#[derive(Debug, Clone)]
pub struct Worker {
    portal: Portal,
    connection: Connection,
    fixed: Arc<Fixed>,
    /// The settings of the current step; see [`Worker::frozen`].
    settings: Settings,
    holder: Holder,
    conflicts: deliveries::Conflicts,
}

impl Worker {
    /// Creates a worker of a portal that leases under `name`. The permits of `connection` must apply
    /// the limits of the portal's settings.
    #[must_use]
    pub fn new(portal: Portal, connection: Connection, fixed: Fixed, name: String) -> Self {
        let ttl = TimeDelta::from_std(fixed.lease).unwrap_or(TimeDelta::seconds(25));
        let settings = Settings::of(&portal.settings.now().values, &fixed);
        Self {
            portal,
            connection,
            fixed: Arc::new(fixed),
            settings,
            holder: Holder { name, ttl },
            conflicts: deliveries::Conflicts::default(),
        }
    }

    /// Returns the same worker with another mapping.
    #[must_use]
    pub fn with_mapping(&self, mapping: Arc<Mapping>) -> Self {
        Self { portal: self.portal.with_mapping(mapping), ..self.clone() }
    }

    /// Returns this worker with the current settings, to run one step with. Returns `None` while
    /// sending is switched off.
    fn frozen(&self) -> Option<Self> {
        let now = self.portal.settings.now();
        let settings = Settings::of(&now.values, &self.fixed);
        now.values.enabled.then(|| Self { settings, ..self.clone() })
    }

    /// Whether sending is switched on.
    fn enabled(&self) -> bool {
        self.portal.settings.now().values.enabled
    }

    /// The object kinds, parents before their children.
    fn kinds(&self) -> Vec<&str> {
        let mut objects: Vec<_> = self.portal.mapping.objects().iter().collect();
        objects.sort_by_key(|o| o.order);
        objects.into_iter().map(|o| o.sync_type.as_str()).collect()
    }

    async fn now(&self) -> Result<chrono::DateTime<chrono::Utc>, QueueError> {
        self.portal.queue.about_now().await
    }
}
