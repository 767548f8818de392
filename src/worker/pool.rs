//! The pool runs the workers and the background tasks of a process that sends, until shutdown.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::background::{self, Driver, Start};
use super::work::StepError;
use super::{Step, Worker};
use crate::queue::Queue;
use crate::queue::watchdog::watched;
use crate::settings::Runtime;

/// An idle worker looks for work after this time, even without a notification.
const POLL: Duration = Duration::from_secs(5);
/// A worker waits this long after the database failed.
const REST: Duration = Duration::from_secs(1);
/// How long the database may be silent during a step, counted after the worker's lease has expired.
const SILENCE: Duration = Duration::from_secs(20);

/// The pool's settings, besides its workers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The number of workers.
    pub workers: usize,
    /// How long call-log lines are kept.
    pub keep_calls: TimeDelta,
    /// How long audit lines are kept.
    pub keep_audit: TimeDelta,
    /// How long rows that are done are kept. `None` keeps them forever.
    pub keep_done: Option<TimeDelta>,
}

/// Signals that end a worker's rest.
struct Bells {
    /// Something may be due.
    due: Arc<Notify>,
    /// Another worker has found work, and there may be more, so do not wait for events to gather.
    more: Notify,
    /// The lock of the one worker that waits for events to gather.
    gathering: Mutex<()>,
}

/// A task of the process, with the name by which a shutdown mentions it.
pub type Named = (String, BoxFuture<'static, ()>);

/// Returns the pool's tasks, which run until `shutdown`. `worker` creates worker number n. Code
/// that learns that something may be due notifies `wake`.
///
/// Nothing is sent until HubSpot has said which account the token belongs to, and its definitions
/// have been requested.
pub fn tasks(
    queue: &Queue,
    settings: &Settings,
    wake: &Arc<Notify>,
    (driver, shutdown): (&Driver, &CancellationToken),
    worker: impl Fn(usize) -> Worker,
) -> Vec<Named> {
    let due = Arc::clone(wake);
    let bells = Arc::new(Bells { due, more: Notify::new(), gathering: Mutex::new(()) });
    let start = Start::default();
    let mut tasks: Vec<Named> = Vec::new();
    for number in 0..settings.workers {
        let (worker, bells, ready) = (worker(number), Arc::clone(&bells), start.ready.clone());
        let shutdown = shutdown.clone();
        let work = async move {
            tokio::select! {
                () = ready.cancelled() => {}
                () = shutdown.cancelled() => return,
            }
            work(&worker, &bells, &shutdown).await;
        };
        tasks.push((format!("worker {number}"), Box::pin(work)));
    }
    let upkeep = || worker(settings.workers);
    for task in background::registered(queue, settings, wake, &start, upkeep) {
        let name = format!("background task {}", task.name());
        tasks.push((name, Box::pin(driver.clone().drive(task))));
    }
    tasks
}

async fn work(worker: &Worker, bells: &Bells, shutdown: &CancellationToken) {
    let mut news = worker.portal.settings.watch();
    let silence = worker.settings.lease + SILENCE;
    while !shutdown.is_cancelled() {
        match answered(silence, worker).await {
            Ok(Step::Worked { .. }) => {
                // There may be more work: one more worker looks, and wakes the next one in turn.
                bells.more.notify_one();
            }
            Ok(Step::Idle) => rest(bells, &mut news, shutdown).await,
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, source, "a step failed; its leases expire and are reclaimed");
                pause(REST, shutdown).await;
            }
        }
    }
}

/// Makes one step, and gives up if the database falls silent.
async fn answered(longest: Duration, worker: &Worker) -> Result<Step, StepError> {
    watched(longest, Box::pin(worker.step())).await?
}

/// Waits for a reason to look for work.
async fn rest(
    bells: &Bells,
    news: &mut watch::Receiver<Arc<Runtime>>,
    shutdown: &CancellationToken,
) {
    while !shutdown.is_cancelled() {
        tokio::select! {
            () = bells.due.notified() => {}
            () = tokio::time::sleep(POLL) => {}
            // Sending may have been switched on.
            _ = news.changed() => {}
            () = bells.more.notified() => return,
            () = shutdown.cancelled() => return,
        }
        // One worker waits for events to gather, on behalf of all. The others rest.
        match bells.gathering.try_lock() {
            Ok(_turn) => return gather(news, shutdown).await,
            Err(_) if frequency(news).is_zero() => return,
            Err(_) => {}
        }
    }
}

/// Waits for events to gather, for as long as the settings say. A changed setting starts the wait
/// again.
async fn gather(news: &mut watch::Receiver<Arc<Runtime>>, shutdown: &CancellationToken) {
    loop {
        let frequency = frequency(news);
        if frequency.is_zero() {
            return;
        }
        tokio::select! {
            () = pause(frequency, shutdown) => return,
            _ = news.changed() => {}
        }
    }
}

fn frequency(news: &mut watch::Receiver<Arc<Runtime>>) -> Duration {
    Duration::from_millis(news.borrow_and_update().values.frequency_ms)
}

async fn pause(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.cancelled() => {}
    }
}
