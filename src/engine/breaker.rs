//! When an outage closes the gate. Pure; the memory is the queue's, shared by all replicas.

use chrono::TimeDelta;

use crate::queue::gates::breaker::Tally;

/// The policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// So many failures within [`BreakerPolicy::within`] close the gate.
    pub threshold: i64,
    /// The time that failures are counted in.
    pub within: TimeDelta,
    /// How long the gate stays closed before a probe.
    pub rest: TimeDelta,
    /// So many probes in a row that come through open it.
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
    /// Whether the calls of the last while are an outage. While more calls are answered than fail,
    /// it is some records that break HubSpot, and the others are not to wait for them.
    #[must_use]
    pub fn trips(&self, tally: Tally) -> bool {
        tally.failures >= self.threshold && tally.failures > tally.answers
    }
}

/// How many records may go in one call with a record that failed `failures` times in a row, out of
/// at most `most`: a quarter each time, so that one that breaks HubSpot soon stands alone.
#[must_use]
pub fn company(failures: i32, most: usize) -> usize {
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
    fn a_failing_record_goes_in_ever_smaller_company() {
        let sizes: Vec<usize> = (0..6).map(|n| company(n, 100)).collect();
        assert_eq!(sizes, [100, 25, 6, 1, 1, 1]);
    }
}
