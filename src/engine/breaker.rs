//! The circuit breaker's policy: decides when failed calls count as an outage. Pure: the queue
//! stores the call counts and gates, and all replicas share them.

use chrono::TimeDelta;

use crate::queue::gates::breaker::Tally;

/// When the circuit breaker opens and closes, as set by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// The breaker opens (its gate closes) at this many failures within [`BreakerPolicy::within`].
    pub threshold: i64,
    /// The period in which failures are counted.
    pub within: TimeDelta,
    /// How long the gate stays closed before a probe is sent.
    pub rest: TimeDelta,
    /// The gate opens after this many successful probes in a row.
    pub probes: i32,
}

impl Default for BreakerPolicy {
    fn default() -> Self {
        Self {
            threshold: 5,
            within: TimeDelta::seconds(60),
            rest: TimeDelta::seconds(120),
            probes: 3,
        }
    }
}

impl BreakerPolicy {
    /// Whether the recent calls amount to an outage. While more calls are answered than fail, only
    /// some records cause HubSpot to fail, and the other records must not wait for them.
    #[must_use]
    pub fn trips(&self, tally: Tally) -> bool {
        tally.failures >= self.threshold && tally.failures > tally.answers
    }
}

/// The largest batch that may contain a record with `failures` failures in a row, out of at most
/// `most` records. Each failure divides the size by four, so that a record that makes HubSpot fail
/// is soon sent alone.
#[must_use]
pub fn batch_limit(failures: i32, most: usize) -> usize {
    most.checked_shr(2 * failures.clamp(0, 8).cast_unsigned()).unwrap_or(0).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_failures_trip_it_unless_more_calls_are_answered() {
        let policy = BreakerPolicy::default();
        let trips = |failures, answers| policy.trips(Tally { failures, answers });
        assert!(!trips(4, 0));
        assert!(trips(5, 0) && trips(5, 4));
        assert!(!trips(5, 5) && !trips(9, 80));
    }

    #[test]
    fn a_failing_record_goes_in_ever_smaller_batch_limit() {
        let sizes: Vec<usize> = (0..6).map(|n| batch_limit(n, 100)).collect();
        assert_eq!(sizes, [100, 25, 6, 1, 1, 1]);
    }
}
