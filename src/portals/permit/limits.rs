//! The limits on calls, as the ledger takes them.

use std::time::Duration;

use chrono::TimeDelta;

use super::window;
use crate::queue::quota::ledger;

/// HubSpot's limits on calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in any rolling window.
    pub per_window: u32,
    /// Calls a day, in the account's time zone.
    pub per_day: u32,
    /// Whether a larger limit in HubSpot's headers is used. A smaller one always is.
    pub grows: bool,
}

/// The limits for a call whose place is held at most for `longest`.
pub(super) fn ledger_limits(limits: Limits, longest: Duration) -> ledger::Limits {
    // The longest time that a place is held: idle time, timeout, and a second to record the reply.
    let longest = longest + Duration::from_secs(1);
    ledger::Limits {
        per_window: i64::from(limits.per_window),
        window: window(),
        grows: limits.grows,
        per_day: i64::from(limits.per_day),
        longest: TimeDelta::from_std(longest).unwrap_or(TimeDelta::seconds(30)),
    }
}
