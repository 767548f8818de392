//! The pool: worker tasks, the listener that wakes them, and the janitor, until shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, watch};
use tokio_util::sync::CancellationToken;

use super::step::StepError;
use super::watch::watched;
use super::{Step, Worker, janitor};
use crate::queue::Queue;
use crate::settings::Runtime;

/// How long an idle worker trusts notifications before it looks by itself.
const POLL: Duration = Duration::from_secs(5);
/// How often the janitor makes its round: the precision of retries.
const ROUND: Duration = Duration::from_secs(1);
/// How long a worker rests after the database failed.
const REST: Duration = Duration::from_secs(1);
/// How long the database may be silent in the middle of something: for a worker after its lease has
/// run out, and for the others.
const SILENCE: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(30));

/// What the pool needs besides its workers.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many workers.
    pub workers: usize,
    /// How long call-log lines are kept.
    pub keep_calls: TimeDelta,
    /// How long audit lines are kept.
    pub keep_audit: TimeDelta,
    /// How long rows that are done are kept; `None`: for good.
    pub keep_done: Option<TimeDelta>,
}

/// What ends a worker's rest.
struct Bells {
    /// Something may be due.
    due: Arc<Notify>,
    /// Another worker has found work, and there may be more: no time to gather.
    more: Notify,
    /// Held by whoever gathers.
    gathering: Mutex<()>,
}

/// The pool's tasks, which run until `shutdown`. `worker` makes worker number n; whoever hears that
/// something may be due tells `wake`.
///
/// Nothing is sent before HubSpot has said which account the token belongs to, and its schema has
/// been asked for.
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
    // What they are at when the process ends is done by the next one: nothing is waited for.
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
    let mut news = worker.live.watch();
    let silence = worker.settings.lease + SILENCE.0;
    while !shutdown.is_cancelled() {
        match answered(silence, Box::pin(worker.step())).await {
            Ok(Step::Worked { .. }) => {
                // There may be more: one more worker looks, and wakes the next in turn.
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

/// Does `work`, unless the database falls silent.
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
        // One lets events come together for all; the others rest.
        match bells.gathering.try_lock() {
            Ok(_turn) => return gather(news, shutdown).await,
            Err(_) if frequency(news).is_zero() => return,
            Err(_) => {}
        }
    }
}

/// Lets events come together, for as long as the settings say; another length begins anew.
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
            // Every ten seconds until HubSpot has said which account it is, then once an hour.
            next_check = round + if known.is_cancelled() { 3_600 } else { 10 };
        }
        match answered(SILENCE.1, janitor::tick(queue)).await {
            // Retries and gates become due by the clock, which notifies nobody.
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
        // Every second while there is something to forget, and else once in ten minutes.
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

/// Reads the account's schema once the account is known, and again when it is old or doubted.
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
