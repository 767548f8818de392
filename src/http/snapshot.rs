//! The state of the service, read once for all requests that arrive at the same time.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::AppState;
use crate::queue::gates::account::Account;
use crate::queue::gates::gate::Gate;
use crate::queue::upkeep::tasks::TaskRow;
use crate::queue::views::errors::ErrorGroup;
use crate::queue::views::totals::{LeaseView, Totals};
use crate::queue::{Queue, QueueError};

/// The most groups of errors that are read.
pub(super) const MOST_GROUPS: i64 = 500;

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

impl AppState {
    /// Returns the state of the service, possibly from the cache. Pages use this; the API reads the
    /// current state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, QueueError> {
        self.snapshot.get(Snapshot::of(&self.queue)).await
    }

    /// Returns the groups of failed rows in the same way, largest first, at most five hundred.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn error_groups(&self) -> Result<Arc<Vec<ErrorGroup>>, QueueError> {
        self.errors.get(self.queue.error_groups(MOST_GROUPS)).await
    }

    /// Empties the caches after an action of a person, so that the next page shows its result.
    pub async fn forget(&self) {
        self.snapshot.forget().await;
        self.errors.forget().await;
    }
}
