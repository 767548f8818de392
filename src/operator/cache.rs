//! A cache for expensive answers. Each is cached for ten times as long as it took to compute. The
//! data of a small queue is therefore always current, and with a large queue three hundred people
//! cost no more than one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// The longest time that an answer is cached.
const LONGEST: Duration = Duration::from_secs(10);
/// An answer computed within this time is not worth caching.
const CHEAP: Duration = Duration::from_millis(20);

/// A cached answer. One request computes it while the others wait.
#[derive(Debug)]
pub struct Cache<T>(Mutex<Option<(Instant, Arc<T>)>>);

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Cache<T> {
    /// Returns the cached answer, or the result of `make`.
    ///
    /// # Errors
    /// When `make` fails. Nothing is cached then.
    pub async fn get<E>(&self, make: impl Future<Output = Result<T, E>>) -> Result<Arc<T>, E> {
        let mut cache = self.0.lock().await;
        if let Some((until, answer)) = cache.as_ref()
            && Instant::now() < *until
        {
            return Ok(Arc::clone(answer));
        }
        let started = Instant::now();
        let answer = Arc::new(make.await?);
        let took = started.elapsed();
        *cache = (took > CHEAP)
            .then(|| (Instant::now() + (10 * took).min(LONGEST), Arc::clone(&answer)));
        Ok(answer)
    }

    /// Empties the cache after an action that changes the answer.
    pub async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_dear_is_made_once_for_all_and_what_was_cheap_each_time() {
        let cache = Cache::default();
        let made = std::sync::atomic::AtomicU32::new(0);
        let make = async |wait: u64| {
            let until = Instant::now() + Duration::from_millis(wait);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            Ok::<_, ()>(made.fetch_add(1, std::sync::atomic::Ordering::SeqCst))
        };
        assert_eq!(*cache.get(make(0)).await.unwrap(), 0);
        assert_eq!(*cache.get(make(0)).await.unwrap(), 1);
        assert_eq!(*cache.get(make(30)).await.unwrap(), 2);
        assert_eq!(*cache.get(make(30)).await.unwrap(), 2);
        cache.forget().await;
        assert_eq!(*cache.get(make(0)).await.unwrap(), 3);
    }
}
