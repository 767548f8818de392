//! Pacing within one process: short bursts are sent at once, and a backlog is spread over the
//! window.
//!
//! The ledger in Postgres (`queue/quota/ledger.rs`) counts the calls of all processes in HubSpot's
//! window and is authoritative. The pacer only spaces the calls of one process. Without it, a
//! backlog would use up the window in its first second and leave nothing for calls that come in the
//! next nine. A call may be sent when one of these two allows it:
//!
//! - the token bucket, which allows a burst of a fifth of the limit at once. A bucket of burst B
//!   and rate R lets B + R·W calls through in a window W. R is the other four fifths, so the bucket
//!   alone never exceeds the limit;
//! - the ledger, which says with each place how many are left and when the next one becomes free.
//!   The remaining places are spread evenly until then, so the whole window can be used.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// The share of the limit that may be sent at once: one in this many.
const BURST_SHARE: u32 = 5;

/// Returns the burst, and the time between two further calls, for `limit` calls in any `window`.
#[must_use]
pub fn bucket(limit: u32, window: Duration) -> (NonZeroU32, Duration) {
    let limit = limit.max(1);
    let burst = (limit / BURST_SHARE).clamp(1, limit);
    // With a limit of one there is nothing to spread: one call per window.
    let spread = (limit - burst).max(1);
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    // Rounded up, so that the last nanosecond does not allow one call too many.
    (burst, window / spread + Duration::from_nanos(1))
}

/// The pacer of one process.
#[derive(Debug)]
pub struct Pacer<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    /// The most turns that can be kept.
    burst: u32,
    state: Mutex<State<C::Instant>>,
}

#[derive(Debug)]
struct State<I> {
    /// Turns that were taken and not used.
    unused: u32,
    /// When the ledger's spacing allows the next call. `None` before the first place.
    spaced: Option<I>,
}

impl Pacer {
    /// Makes a pacer for `limit` calls in any `window`.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self::with_clock(limit, window, DefaultClock::default())
    }

    /// Waits until a call may be sent.
    pub async fn wait(&self) {
        while let Some(wait) = self.check() {
            tokio::time::sleep(wait).await;
        }
    }
}

impl<C: Clock + Clone> Pacer<C> {
    /// Makes a pacer with another clock.
    #[must_use]
    pub fn with_clock(limit: u32, window: Duration, clock: C) -> Self {
        let (burst, period) = bucket(limit, window);
        let quota = Quota::with_period(period)
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MIN))
            .allow_burst(burst);
        Self {
            limiter: RateLimiter::direct_with_clock(quota, clock.clone()),
            clock,
            burst: burst.get(),
            state: Mutex::new(State { unused: 0, spaced: None }),
        }
    }

    /// Takes a turn, or returns how long to wait before asking again.
    pub fn check(&self) -> Option<Duration> {
        let mut state = self.lock();
        if let Some(left) = state.unused.checked_sub(1) {
            state.unused = left;
            return None;
        }
        let denied = self.limiter.check().err()?;
        let now = self.clock.now();
        let by_bucket = denied.wait_time_from(now);
        let by_ledger = state.spaced.map(|at| Duration::from(at.duration_since(now)));
        match by_ledger {
            Some(Duration::ZERO) => None,
            Some(wait) => Some(wait.min(by_bucket)),
            None => Some(by_bucket),
        }
    }

    /// Returns a turn that no call has used.
    pub fn give_back(&self) {
        let mut state = self.lock();
        state.unused = (state.unused + 1).min(self.burst);
    }

    /// The ledger has given a place. `left` more are free now, and the next one becomes free after
    /// `next`.
    pub fn granted(&self, left: u32, next: Duration) {
        let spacing = u64::try_from((next / left.max(1)).as_nanos()).unwrap_or(u64::MAX);
        let at = self.clock.now() + Nanos::new(spacing);
        self.lock().spaced = Some(at);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State<C::Instant>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    proptest! {
        /// Whatever the pauses between checks, the bucket alone never lets a window exceed the
        /// limit.
        #[test]
        fn no_window_is_ever_broken(limit in 2u32..300, pauses in prop::collection::vec(0u64..400, 200..1500)) {
            let clock = FakeRelativeClock::default();
            let pacer = Pacer::with_clock(limit, WINDOW, clock.clone());
            let (mut now, mut sent) = (Duration::ZERO, Vec::new());
            for pause in pauses {
                let pause = Duration::from_millis(pause);
                clock.advance(pause);
                now += pause;
                while pacer.check().is_none() {
                    sent.push(now);
                    let first = sent.partition_point(|&t| t + WINDOW <= now);
                    prop_assert!(sent.len() - first <= limit as usize);
                }
            }
        }
    }

    /// A process with its own ledger and a clock that the test moves.
    struct Simulated {
        clock: FakeRelativeClock,
        now: Duration,
        pacer: Pacer<FakeRelativeClock>,
        limit: u32,
        latency: Duration,
        /// When each taken place becomes free.
        held: VecDeque<Duration>,
        sent: Vec<Duration>,
    }

    impl Simulated {
        fn new(limit: u32, latency: Duration) -> Self {
            let clock = FakeRelativeClock::default();
            let pacer = Pacer::with_clock(limit, WINDOW, clock.clone());
            let (held, sent) = (VecDeque::new(), Vec::new());
            Self { clock, now: Duration::ZERO, pacer, limit, latency, held, sent }
        }

        fn advance(&mut self, by: Duration) {
            self.clock.advance(by);
            self.now += by;
        }

        /// Sends one call as soon as the pacer and the ledger allow it. Returns how long that took.
        fn send(&mut self) -> Duration {
            let asked = self.now;
            while let Some(wait) = self.pacer.check() {
                self.advance(wait.max(Duration::from_micros(1)));
            }
            loop {
                while self.held.front().is_some_and(|free| *free <= self.now) {
                    self.held.pop_front();
                }
                let Some(left) = (self.limit as usize - self.held.len()).checked_sub(1) else {
                    let wait = self.held[0] - self.now;
                    self.advance(wait);
                    continue;
                };
                self.held.push_back(self.now + self.latency + WINDOW);
                self.pacer.granted(left as u32, self.held[0] - self.now);
                self.sent.push(self.now);
                return self.now - asked;
            }
        }
    }

    #[test]
    fn a_backlog_uses_the_window_and_is_spread_over_it() {
        for limit in [50, 100, 110, 190, 250] {
            let latency = Duration::from_millis(100);
            let mut process = Simulated::new(limit, latency);
            let mut longest = Duration::ZERO;
            while process.now < WINDOW * 20 {
                longest = longest.max(process.send());
            }
            let used = process.sent.iter().filter(|at| **at >= WINDOW).count() as f64 / 19.0;
            assert!(used >= 0.95 * f64::from(limit), "{used} of {limit}");
            // A call that arrives in the middle of the window gets a turn soon.
            let (_, period) = bucket(limit, WINDOW);
            assert!(longest <= period + latency, "{limit}: a pause of {longest:?}");
        }
    }

    #[test]
    fn ten_events_in_an_idle_window_leave_at_once() {
        let mut process = Simulated::new(100, Duration::from_millis(100));
        for _ in 0..10 {
            assert_eq!(process.send(), Duration::ZERO);
        }
    }

    #[test]
    fn four_fifths_of_the_quota_leave_without_waiting() {
        let mut process = Simulated::new(100, Duration::from_millis(100));
        for _ in 0..1_000 {
            process.advance(Duration::from_millis(125));
            // Two workers see the same event, and one of them finds nothing to lease.
            assert_eq!(process.pacer.check(), None);
            process.pacer.give_back();
            let waited = process.send();
            assert!(waited <= Duration::from_millis(5), "{waited:?} at {:?}", process.now);
        }
    }

    #[test]
    fn a_turn_that_was_given_back_is_taken_again() {
        let pacer = Pacer::with_clock(100, WINDOW, FakeRelativeClock::default());
        while pacer.check().is_none() {}
        pacer.give_back();
        assert_eq!(pacer.check(), None);
        assert!(pacer.check().is_some());
    }
}
