//! How everything stands, looked up once for all who ask at the same time.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::AppState;
use crate::queue::gates::account::Account;
use crate::queue::gates::gate::Gate;
use crate::queue::views::errors::ErrorGroup;
use crate::queue::views::totals::{LeaseView, Totals};
use crate::queue::{Queue, QueueError};

/// As many groups of errors as anybody reads.
pub(super) const MOST_GROUPS: i64 = 500;

/// How everything stood at one moment.
#[derive(Debug)]
pub struct Snapshot {
    /// The moment, on the database's clock.
    pub now: DateTime<Utc>,
    /// The totals.
    pub totals: Totals,
    /// The gates that are closed.
    pub gates: Vec<Gate>,
    /// The account, and what HubSpot's headers said of the quota.
    pub account: Account,
    /// What workers hold.
    pub leases: Vec<LeaseView>,
}

impl Snapshot {
    /// Looks.
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
        })
    }
}

impl AppState {
    /// How everything stands, perhaps a moment ago: for pages. Programs are told what is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn snapshot(&self) -> Result<Arc<Snapshot>, QueueError> {
        self.snapshot.get(Snapshot::of(&self.queue)).await
    }

    /// The groups of failed rows likewise, largest first, at most five hundred.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn error_groups(&self) -> Result<Arc<Vec<ErrorGroup>>, QueueError> {
        self.errors.get(self.queue.error_groups(MOST_GROUPS)).await
    }

    /// Forgets what is kept, after a person did something: what he sees next shows it.
    pub async fn forget(&self) {
        self.snapshot.forget().await;
        self.errors.forget().await;
    }
}
