//! Decides when a failed delivery is retried. Pure: the queue runs the only retry loop.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use chrono::TimeDelta;

/// The retry policy: backoff, number of retries and jitter.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// The wait before the first retry.
    pub base: Duration,
    /// Each further wait is multiplied by this factor.
    pub factor: f64,
    /// A row fails after this many retries.
    pub max_retries: i32,
    /// The fraction by which a wait may vary in either direction. 0 means exact waits.
    pub jitter: f64,
    /// Whether rows that HubSpot rejects are retried too. Otherwise they fail at once.
    pub rejected: bool,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(60),
            factor: 2.0,
            max_retries: 3,
            jitter: 0.0,
            rejected: false,
        }
    }
}

/// The longest wait, whatever the settings multiply to.
const LONGEST: Duration = Duration::from_secs(86_400);

impl RetryPolicy {
    /// The wait after a record has failed `failures` + 1 times in a row. After the last step the
    /// wait stays at its maximum. `dice` in 0..1 is the random number for the jitter.
    #[must_use]
    pub fn delay(&self, failures: i32, dice: f64) -> TimeDelta {
        let mut policy = ExponentialBackoff {
            current_interval: self.base,
            initial_interval: self.base,
            multiplier: self.factor,
            max_interval: LONGEST,
            randomization_factor: 0.0,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        let step = failures.clamp(0, (self.max_retries - 1).clamp(0, 32));
        let mut wait = self.base;
        for _ in 0..=step {
            wait = policy.next_backoff().unwrap_or(LONGEST);
        }
        let varied = wait.as_secs_f64() * (1.0 + self.jitter.clamp(0.0, 1.0) * (2.0 * dice - 1.0));
        TimeDelta::milliseconds((varied * 1_000.0).round() as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_one_two_and_four_minutes_and_stay_there() {
        let policy = RetryPolicy::default();
        let waits: Vec<i64> = (0..6).map(|n| policy.delay(n, 0.9).num_seconds()).collect();
        assert_eq!(waits, [60, 120, 240, 240, 240, 240]);
    }

    #[test]
    fn jitter_varies_the_wait_either_way_within_its_fraction() {
        let policy = RetryPolicy { jitter: 0.1, ..RetryPolicy::default() };
        assert_eq!(policy.delay(0, 0.0).num_seconds(), 54);
        assert_eq!(policy.delay(0, 1.0).num_seconds(), 66);
    }
}
