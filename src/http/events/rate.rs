//! Rate limit for the events of a key in a minute, within this process.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::http::problem::Problem;

type Limiter = RateLimiter<String, HashMapStateStore<String>, DefaultClock>;

/// The rate limit. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Rate(Option<Arc<Limiter>>);

impl Rate {
    /// Allows this many events for each key in a minute, also all at once. 0 means no limit.
    #[must_use]
    pub fn per_minute(events: u32) -> Self {
        let quota = NonZeroU32::new(events).map(Quota::per_minute);
        Self(quota.map(|quota| Arc::new(RateLimiter::hashmap(quota))))
    }

    /// Counts `events` sent with the key of this name.
    ///
    /// # Errors
    /// 429 if they come too fast, 413 if they are more than a minute allows.
    pub(super) fn take(&self, key: &str, events: usize) -> Result<(), Problem> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        let count = u32::try_from(events).unwrap_or(u32::MAX);
        let Some(count) = NonZeroU32::new(count) else { return Ok(()) };
        match limiter.check_key_n(&key.to_owned(), count) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(early)) => {
                let wait = early.wait_time_from(limiter.clock().now()) + Duration::from_millis(999);
                let detail = "this key sends more events than it may in a minute; send them later";
                let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_fast", detail);
                Err(problem.retry_after(wait.as_secs().max(1)))
            }
            Err(most) => {
                let most = most.0;
                let detail =
                    format!("this key may send {most} events a minute; send fewer at once");
                Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_events", detail))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_has_its_own_rate() {
        let rate = Rate::per_minute(100);
        assert!(rate.take("a", 60).is_ok() && rate.take("b", 100).is_ok());
        assert_eq!(rate.take("a", 60).unwrap_err().status(), 429);
        assert_eq!(rate.take("a", 101).unwrap_err().status(), 413);
        assert!(rate.take("a", 40).is_ok());
        assert!(Rate::default().take("a", 1_000_000).is_ok());
    }
}
