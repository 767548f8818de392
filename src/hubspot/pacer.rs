//! Pacing within the process: a token bucket that can never break a rolling window.
//!
//! A bucket of burst B and rate R lets B + R·W through in a window of W. A small B and the rest as
//! R keep the window whole and use nearly all of it. The ledger in Postgres is the truth over all
//! replicas; the bucket only keeps one process from running into it.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Burst and time between two calls for `limit` calls in any `window`: two per cent of the limit
/// as burst, the rest spread evenly.
#[must_use]
pub fn bucket(limit: u32, window: Duration) -> (NonZeroU32, Duration) {
    let limit = limit.max(1);
    let burst = (limit / 50).clamp(1, limit);
    // A limit of one leaves nothing to spread: one call a window.
    let spread = (limit - burst).max(1);
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // Rounded up, so that the last nanosecond does not let one more through.
    (burst, window / spread + Duration::from_nanos(1))
}

/// The bucket of one process.
#[derive(Debug)]
pub struct Pacer<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
}

impl Pacer {
    /// A bucket for `limit` calls in any `window`.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self::with_clock(limit, window, DefaultClock::default())
    }

    /// Waits for a token.
    pub async fn wait(&self) {
        while let Some(wait) = self.check() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl<C: Clock + Clone> Pacer<C> {
    /// A bucket on another clock.
    #[must_use]
    pub fn with_clock(limit: u32, window: Duration, clock: C) -> Self {
        let (burst, period) = bucket(limit, window);
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock }
    }

    /// Takes a token, or says how long to wait for one.
    pub fn check(&self) -> Option<Duration> {
        let denied = self.limiter.check().err()?;
        Some(denied.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever the pauses between asks, no window holds more than the limit.
        #[test]
        fn no_window_is_ever_broken(limit in 2u32..300, pauses in prop::collection::vec(0u64..400, 200..1500)) {
            let window = Duration::from_secs(10);
            let clock = FakeRelativeClock::default();
            let pacer = Pacer::with_clock(limit, window, clock.clone());
            let (mut now, mut sent) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                let pause = Duration::from_millis(pause);
                clock.advance(pause);
                now += pause;
                while pacer.check().is_none() {
                    sent.push(now);
                    let first = sent.partition_point(|&t| t + window <= now);
                    prop_assert!(sent.len() - first <= limit as usize);
                }
            }
        }
    }

    #[test]
    fn at_least_95_per_cent_of_the_window_can_be_used() {
        for limit in [50, 100, 110, 190, 250] {
            let (_, period) = bucket(limit, Duration::from_secs(10));
            let used = 10.0 / period.as_secs_f64();
            assert!(used >= 0.95 * f64::from(limit), "{used} of {limit}");
        }
    }
}
