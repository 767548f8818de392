//! The pool: worker tasks, the listener that wakes them, and the janitor, until shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{Step, Worker, janitor};
use crate::queue::Queue;
use crate::queue::notify::Listener;

/// How long an idle worker trusts notifications before it looks by itself.
const POLL: Duration = Duration::from_secs(5);
/// How often the janitor makes its round: the precision of retries.
const ROUND: Duration = Duration::from_secs(1);
/// How long a worker rests after the database failed.
const REST: Duration = Duration::from_secs(1);

/// What the pool needs besides its workers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many workers.
    pub workers: usize,
    /// How long an idle worker gathers events after it was woken; zero sends at once.
    pub frequency: Duration,
    /// How long call-log lines are kept.
    pub keep_calls: TimeDelta,
}

/// The pool's tasks, which run until `shutdown`. `worker` makes worker number n.
///
/// Nothing is sent before HubSpot has said which account the token belongs to, and its schema has
/// been asked for.
pub fn tasks(
    queue: &Queue,
    settings: &Settings,
    shutdown: &CancellationToken,
    worker: impl Fn(usize) -> Worker,
) -> Vec<BoxFuture<'static, ()>> {
    let wake = Arc::new(Notify::new());
    let (known, ready) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    for number in 0..settings.workers {
        let (worker, wake, ready) = (worker(number), Arc::clone(&wake), ready.clone());
        let (frequency, shutdown) = (settings.frequency, shutdown.clone());
        tasks.push(Box::pin(async move {
            tokio::select! {
                () = ready.cancelled() => {}
                () = shutdown.cancelled() => return,
            }
            work(&worker, &wake, frequency, &shutdown).await;
        }));
    }
    let (listening, waking, stop) = (queue.clone(), Arc::clone(&wake), shutdown.clone());
    tasks.push(Box::pin(async move { listen(&listening, &waking, &stop).await }));
    let (queue, stop, keep) = (queue.clone(), shutdown.clone(), settings.keep_calls);
    let (checker, reader) = (worker(settings.workers), worker(settings.workers));
    let (asked, end) = (known.clone(), shutdown.clone());
    tasks.push(Box::pin(async move { keep_schema(&reader, &asked, &ready, &end).await }));
    tasks.push(Box::pin(
        async move { keep_house(&queue, &checker, &wake, &known, keep, &stop).await },
    ));
    tasks
}

async fn work(worker: &Worker, wake: &Notify, frequency: Duration, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        match worker.step().await {
            Ok(Step::Worked { .. }) => {
                // There may be more: one more worker looks, and wakes the next in turn.
                wake.notify_one();
            }
            Ok(Step::Idle) => {
                tokio::select! {
                    () = wake.notified() => {
                        if !frequency.is_zero() {
                            pause(frequency, shutdown).await;
                        }
                    }
                    () = tokio::time::sleep(POLL) => {}
                    () = shutdown.cancelled() => {}
                }
            }
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, source, "a step failed; what was leased is taken back in time");
                pause(REST, shutdown).await;
            }
        }
    }
}

async fn listen(queue: &Queue, wake: &Notify, shutdown: &CancellationToken) {
    while !shutdown.is_cancelled() {
        let heard = async {
            let mut listener = Listener::connect(queue.pool()).await?;
            // What was said while nobody listened is looked up once.
            wake.notify_one();
            loop {
                listener.heard().await?;
                wake.notify_one();
            }
        };
        let lost: Result<(), crate::queue::QueueError> = tokio::select! {
            lost = heard => lost,
            () = shutdown.cancelled() => return,
        };
        if let Err(error) = lost {
            tracing::warn!(error = %error, "notifications are lost for now; workers poll");
        }
        pause(REST, shutdown).await;
    }
}

async fn keep_house(
    queue: &Queue,
    checker: &Worker,
    wake: &Notify,
    known: &CancellationToken,
    keep: TimeDelta,
    shutdown: &CancellationToken,
) {
    let mut round: u64 = 0;
    while !shutdown.is_cancelled() {
        // Every ten seconds until HubSpot has said which account it is, then once an hour.
        if round.is_multiple_of(if known.is_cancelled() { 3_600 } else { 10 }) {
            match checker.check_account().await {
                Ok(true) => known.cancel(),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "the account check failed"),
            }
        }
        match janitor::tick(queue).await {
            // Retries and gates become due by the clock, which notifies nobody.
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::warn!(error = %error, "housekeeping failed"),
        }
        if round.is_multiple_of(600)
            && let Err(error) = janitor::prune(queue, keep).await
        {
            tracing::warn!(error = %error, "the call log could not be pruned");
        }
        round += 1;
        pause(ROUND, shutdown).await;
    }
}

/// Reads the account's schema once the account is known, and again when it is old or doubted.
async fn keep_schema(
    reader: &Worker,
    known: &CancellationToken,
    ready: &CancellationToken,
    shutdown: &CancellationToken,
) {
    tokio::select! {
        () = known.cancelled() => {}
        () = shutdown.cancelled() => return,
    }
    while !shutdown.is_cancelled() {
        reader.refresh_schema(Instant::now()).await;
        ready.cancel();
        pause(ROUND, shutdown).await;
    }
}

async fn pause(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.cancelled() => {}
    }
}
