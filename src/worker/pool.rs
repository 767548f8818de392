//! The pool runs the worker tasks, the listener that wakes them, and the janitor, until shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::work::StepError;
use super::{Step, Worker, janitor};
use crate::queue::Queue;
use crate::queue::watchdog::watched;
use crate::settings::Runtime;

/// An idle worker looks for work after this time, even without a notification.
const POLL: Duration = Duration::from_secs(5);
/// The janitor runs at this interval, so retries are this precise.
const ROUND: Duration = Duration::from_secs(1);
/// A worker waits this long after the database failed.
const REST: Duration = Duration::from_secs(1);
/// How long the database may be silent during an operation: first for a worker, counted after its
/// lease has expired, then for the other tasks.
const SILENCE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(30));

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

/// Returns the pool's tasks, which run until `shutdown`. `worker` creates worker number n. Code
/// that learns that something may be due notifies `wake`.
///
/// Nothing is sent until HubSpot has said which account the token belongs to, and its definitions
/// have been requested.
pub fn tasks(
    queue: &Queue,
    settings: &Settings,
    wake: &Arc<Notify>,
    shutdown: &CancellationToken,
    worker: impl Fn(usize) -> Worker,
) -> Vec<BoxFuture<'static, ()>> {
    let due = Arc::clone(wake);
    let bells = Arc::new(Bells { due, more: Notify::new(), gathering: Mutex::new(()) });
    let (known, ready) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
    for number in 0..settings.workers {
        let (worker, bells, ready) = (worker(number), Arc::clone(&bells), ready.clone());
        let shutdown = shutdown.clone();
        tasks.push(Box::pin(async move {
            tokio::select! {
                () = ready.cancelled() => {}
                () = shutdown.cancelled() => return,
            }
            work(&worker, &bells, &shutdown).await;
        }));
    }
    let (queue, wake, keep) = (queue.clone(), Arc::clone(wake), settings.clone());
    let (checker, reader) = (worker(settings.workers), worker(settings.workers));
    let asked = known.clone();
    // Nothing waits for these tasks at shutdown. The next process does what they leave undone.
    let (end, stop) = (shutdown.clone(), shutdown.clone());
    tasks.push(Box::pin(async move {
        let _ = end.run_until_cancelled(keep_schema(&reader, &asked, &ready)).await;
    }));
    tasks.push(Box::pin(async move {
        let _ = stop
            .run_until_cancelled(Box::pin(keep_house(&queue, &checker, &wake, &known, &keep)))
            .await;
    }));
    tasks
}

async fn work(worker: &Worker, bells: &Bells, shutdown: &CancellationToken) {
    let mut news = worker.portal.settings.watch();
    let silence = worker.settings.lease + SILENCE.0;
    while !shutdown.is_cancelled() {
        match answered(silence, Box::pin(worker.step())).await {
            Ok(Step::Worked { .. }) => {
                // There may be more work: one more worker looks, and wakes the next one in turn.
                bells.more.notify_one();
            }
            Ok(Step::Idle) => rest(bells, &mut news, shutdown).await,
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(error = %error, source, "a step failed; what was leased is taken back in time");
                pause(REST, shutdown).await;
            }
        }
    }
}

/// Runs `work`, and gives up if the database falls silent.
async fn answered<T, E: Into<StepError>>(
    longest: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, StepError> {
    watched(longest, work).await?.map_err(Into::into)
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

async fn keep_house(
    queue: &Queue,
    checker: &Worker,
    wake: &Notify,
    known: &CancellationToken,
    settings: &Settings,
) {
    let (mut round, mut next_check): (u64, u64) = (0, 0);
    let mut forgotten = 0;
    loop {
        if checker.enabled() && round >= next_check {
            match answered(SILENCE.1, Box::pin(checker.check_account())).await {
                Ok(true) => known.cancel(),
                Ok(false) => {}
                Err(error) => tracing::warn!(error = %error, "the account check failed"),
            }
            // Check every ten seconds until HubSpot has said which account it is, then once an
            // hour.
            next_check = round + if known.is_cancelled() { 3_600 } else { 10 };
        }
        match answered(SILENCE.1, janitor::tick(queue)).await {
            // Retries and gates become due with time, and no notification is sent for that.
            Ok(_) => wake.notify_one(),
            Err(error) => tracing::warn!(error = %error, "housekeeping failed"),
        }
        if round.is_multiple_of(600)
            && let Err(error) =
                answered(SILENCE.1, janitor::prune(queue, settings.keep_calls)).await
        {
            tracing::warn!(error = %error, "the call log could not be pruned");
        }
        if round.is_multiple_of(600)
            && let Err(error) =
                answered(SILENCE.1, janitor::prune_audit(queue, settings.keep_audit)).await
        {
            tracing::warn!(error = %error, "the audit could not be pruned");
        }
        // Run every second while there is something to delete, otherwise once in ten minutes.
        if let Some(keep) = settings.keep_done
            && (forgotten > 0 || round.is_multiple_of(600))
        {
            match answered(SILENCE.1, janitor::forget(queue, keep, forgotten)).await {
                Ok(behind) => forgotten = behind,
                Err(error) => tracing::warn!(error = %error, "old rows could not be forgotten"),
            }
        }
        round += 1;
        tokio::time::sleep(ROUND).await;
    }
}

/// Reads the account's definitions once the account is known, and again when they are old or
/// doubtful.
async fn keep_schema(reader: &Worker, known: &CancellationToken, ready: &CancellationToken) {
    known.cancelled().await;
    loop {
        if reader.enabled() {
            match watched(SILENCE.1, Box::pin(reader.refresh_definitions(Instant::now()))).await {
                Ok(()) => ready.cancel(),
                Err(error) => tracing::warn!(error = %error, "the account's schema was not read"),
            }
        }
        tokio::time::sleep(ROUND).await;
    }
}

async fn pause(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.cancelled() => {}
    }
}
