//! A single thread that parses large bodies, one after another.
//!
//! Parsing takes time, so it must not block the threads that serve requests. It uses only one
//! thread because an allocator keeps freed memory for the thread that freed it: with many threads,
//! a few large bodies would use the memory of many.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::http::problem::Problem;

/// How long a body waits until others have been parsed.
const TURN: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// Passes work to the thread. The thread ends when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Parser {
    jobs: mpsc::Sender<Job>,
    /// Bodies wait for this, where they can time out, and not in the thread's channel.
    turn: Arc<Semaphore>,
}

impl Parser {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system cannot start another thread.
    pub fn start() -> io::Result<Self> {
        let (jobs, mut waiting) = mpsc::channel::<Job>(1);
        std::thread::Builder::new().name("parser".into()).spawn(move || {
            while let Some(job) = waiting.blocking_recv() {
                job();
            }
        })?;
        Ok(Self { jobs, turn: Arc::new(Semaphore::new(1)) })
    }

    /// Runs `work` on the thread after the bodies before it.
    ///
    /// # Errors
    /// 503 if these take too long.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turn).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else { return Err(super::body::full()) };
        let (answer, answered) = oneshot::channel();
        let job = Box::new(move || {
            // The work continues even if the request has been dropped.
            let _turn = turn;
            let done: Result<T, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(work));
            answer.send(done).ok();
        });
        self.jobs.send(job).await.map_err(|_| Problem::internal())?;
        answered.await.ok().and_then(Result::ok).ok_or_else(Problem::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_one_by_one_and_one_that_panics_is_not_the_last() {
        let parser = Parser::start().expect("a thread");
        let both = tokio::join!(parser.run(|| 1), parser.run(|| 2));
        assert_eq!((both.0.expect("done"), both.1.expect("done")), (1, 2));
        let fails = parser.run(|| assert!(std::hint::black_box(false), "meant to fail")).await;
        assert_eq!(fails.expect_err("it panicked").code(), "internal");
        assert_eq!(parser.run(|| 3).await.expect("done"), 3);
    }
}
