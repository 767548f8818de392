//! The state of the service, read once for all requests that arrive at the same time.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::bounds::ERROR_GROUPS;
use super::views::{Account, ErrorGroup, Gate, LeaseView, TaskRow, Totals};
use super::{Operator, OperatorError};
use crate::queue::{Queue, QueueError};

/// The state of the service at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// That moment, by the database's clock.
    pub now: DateTime<Utc>,
    /// The totals.
    pub totals: Totals,
    /// The closed gates.
    pub gates: Vec<Gate>,
    /// The account, and the limits in HubSpot's headers.
    pub account: Account,
    /// What workers have leased.
    pub leases: Vec<LeaseView>,
    /// The background tasks.
    pub tasks: Vec<TaskRow>,
}

impl Snapshot {
    /// Reads the state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(queue: &Queue) -> Result<Self, QueueError> {
        let now = queue.now().await?;
        Ok(Self {
            now,
            totals: queue.totals(now).await?,
            gates: queue.gates(now).await?,
            account: queue.account().await?,
            leases: queue.leases().await?,
            tasks: queue.background_tasks(now).await?,
        })
    }
}

/// The limits in force.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most calls in any rolling window.
    pub per_window: u32,
    /// The length of the window in milliseconds.
    pub window_ms: u64,
    /// The most calls in a day.
    pub per_day: u32,
    /// How many retries a row has before it is marked failed.
    pub max_retries: i32,
}

impl Operator {
    /// Returns the state of the service now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn status(&self) -> Result<Snapshot, OperatorError> {
        Ok(Snapshot::of(&self.queue).await?)
    }

    /// Returns the state of the service, possibly from the cache. Pages use this; programs read the
    /// current state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recent_status(&self) -> Result<Arc<Snapshot>, OperatorError> {
        Ok(self.snapshot.get(Snapshot::of(&self.queue)).await?)
    }

    /// Returns the groups of failed rows in the same way, largest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn recent_errors(&self) -> Result<Arc<Vec<ErrorGroup>>, OperatorError> {
        Ok(self.errors.get(self.queue.error_groups(ERROR_GROUPS)).await?)
    }

    /// Returns the id of the HubSpot account, once it is known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn portal_id(&self) -> Result<Option<i64>, OperatorError> {
        Ok(self.queue.account().await?.hubspot_portal_id)
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let now = self.settings.now();
        Limits {
            per_window: now.values.limit_per_10s,
            window_ms: 10_000,
            per_day: now.values.limit_per_day,
            max_retries: now.values.max_retries,
        }
    }

    /// Empties the caches after an action of a person, so that the next page shows its result.
    pub(super) async fn forget(&self) {
        self.snapshot.forget().await;
        self.errors.forget().await;
    }
}
