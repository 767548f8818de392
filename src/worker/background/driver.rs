//! Runs background tasks, each on its own clock, and stores how their runs went.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::{Done, Task, TaskError};
use crate::queue::upkeep::tasks::{TaskInfo, TaskRun};
use crate::queue::watchdog::watched;
use crate::queue::{Queue, QueueError};

/// How long the database may be silent during a run.
const SILENCE: Duration = Duration::from_secs(30);
/// The longest run. A task that waits for its place in HubSpot's rate limit may need minutes.
const LONGEST: Duration = Duration::from_secs(600);
/// How long another process waits before it takes over a task that one process runs at a time: the
/// longest run, and the time to store it.
const LEASE: TimeDelta = TimeDelta::seconds(660);
/// A run with the same result as the one before is stored only after this time.
const STORED: Duration = Duration::from_secs(10);
/// How often a process looks whether a task that another one runs is due.
const LOOK: Duration = Duration::from_secs(60);
/// A task that keeps failing in the same way is logged again after this time.
const TOLD: Duration = Duration::from_secs(600);
/// How long a shutdown waits for the database here.
const LEAVE: Duration = Duration::from_secs(2);
/// The longest text that is stored, in characters.
const TEXT: usize = 500;

/// Runs the background tasks of one process.
#[derive(Debug, Clone)]
pub struct Driver {
    queue: Queue,
    process: String,
    shutdown: CancellationToken,
}

/// What the driver remembers of a task.
#[derive(Default)]
struct History {
    /// The result that was stored last, and when.
    stored: Option<(Instant, Result<String, String>)>,
    /// The failure that was logged last, and when.
    told: Option<(Instant, String)>,
    /// The failures since the last success.
    failures: u32,
}

impl Driver {
    /// Creates the driver of the process `process`. Its tasks end at `shutdown`.
    #[must_use]
    pub fn new(queue: &Queue, process: &str, shutdown: &CancellationToken) -> Self {
        Self { queue: queue.clone(), process: process.to_owned(), shutdown: shutdown.clone() }
    }

    /// Runs `task` again and again until shutdown. A run in progress is then interrupted, because
    /// the next process does what it leaves undone.
    pub async fn drive(self, mut task: Task) {
        let info = task.info;
        let forever = async {
            self.quietly(&info, self.register(&info)).await;
            let mut history = History::default();
            loop {
                let wait = self.turn(&mut task, &mut history).await;
                match &task.wake {
                    Some(wake) => tokio::select! {
                        () = wake.notified() => {}
                        () = tokio::time::sleep(wait) => {}
                    },
                    None => tokio::time::sleep(wait).await,
                }
            }
        };
        let _: Option<()> = self.shutdown.run_until_cancelled(forever).await;
        let left = self.quietly(&info, self.queue.leave_task(&info, &self.process));
        let _ = tokio::time::timeout(LEAVE, left).await;
    }

    /// Runs `task` once, if it is this process's turn. Returns the wait for the next run.
    async fn turn(&self, task: &mut Task, history: &mut History) -> Duration {
        let leads = match self.leads(&task.info).await {
            Ok(true) => None,
            Ok(false) => return task.period.min(LOOK),
            Err(error) => Some(error),
        };
        let began = Instant::now();
        let result = match leads {
            Some(error) => Err(error),
            None => self.run(task).await,
        };
        let took = began.elapsed();
        let wait = match &result {
            Ok(done) => done.again.unwrap_or(task.period),
            Err(TaskError::Said { again: Some(wait), .. }) => *wait,
            Err(_) => task.retry,
        };
        let name = task.info.name;
        let word = if result.is_ok() { "ok" } else { "error" };
        metrics::counter!("hubferry_background_task_runs_total", "task" => name, "result" => word)
            .increment(1);
        metrics::histogram!("hubferry_background_task_duration_seconds", "task" => name)
            .record(took.as_secs_f64());
        tell(name, &result, history);
        let result = result.map(|done| done.text).map_err(|error| text(&error));
        self.quietly(&task.info, self.store(&task.info, history, result, took, wait)).await;
        wait
    }

    /// Runs `task` once, within the limits.
    async fn run(&self, task: &mut Task) -> Result<Done, TaskError> {
        let run = tokio::time::timeout(LONGEST, watched(SILENCE, task.job.run()));
        run.await.map_err(|_| TaskError::Slow(LONGEST))??
    }

    async fn register(&self, info: &TaskInfo) -> Result<(), QueueError> {
        let now = self.queue.about_now().await?;
        self.queue.register_task(info, &self.process, now).await
    }

    /// Whether it is this process's turn to run the task.
    async fn leads(&self, info: &TaskInfo) -> Result<bool, TaskError> {
        if info.everywhere {
            return Ok(true);
        }
        watched(SILENCE, async {
            let now = self.queue.now().await?;
            Ok(self.queue.lease_task(info, &self.process, now + LEASE, now).await?)
        })
        .await?
    }

    /// Stores a run. Of a task that runs every second and says the same each time, one run in ten
    /// seconds is stored.
    async fn store(
        &self,
        info: &TaskInfo,
        history: &mut History,
        result: Result<String, String>,
        took: Duration,
        wait: Duration,
    ) -> Result<(), QueueError> {
        let now = self.queue.about_now().await?;
        if result.is_ok() {
            metrics::gauge!(
                "hubferry_background_task_last_success_timestamp_seconds",
                "task" => info.name
            )
            .set(now.timestamp_millis() as f64 / 1_000.0);
        }
        let known = history.stored.as_ref().is_some_and(|(at, stored)| {
            info.everywhere && at.elapsed() < STORED && *stored == result
        });
        if known {
            return Ok(());
        }
        let (took, wait) = (span(took), span(wait));
        let run = TaskRun { at: now - took, took, result: result.clone(), next: now + wait };
        self.queue.store_task_run(info, &self.process, &run).await?;
        history.stored = Some((Instant::now(), result));
        Ok(())
    }

    /// Awaits a write of the record. If it fails, the record is late; the task itself is not.
    async fn quietly(&self, info: &TaskInfo, write: impl Future<Output = Result<(), QueueError>>) {
        let error = match watched(SILENCE, write).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(silent) => silent.to_string(),
        };
        tracing::debug!(task = info.name, error, "a run could not be stored");
    }
}

/// Logs a failure when it begins and again every ten minutes, and its end.
fn tell(name: &str, result: &Result<Done, TaskError>, history: &mut History) {
    let Err(error) = result else {
        if history.failures > 0 {
            tracing::info!(
                task = name,
                failures = history.failures,
                "a background task works again"
            );
        }
        (history.failures, history.told) = (0, None);
        return;
    };
    history.failures += 1;
    let text = text(error);
    let known =
        history.told.as_ref().is_some_and(|(at, told)| at.elapsed() < TOLD && *told == text);
    if !known {
        tracing::warn!(
            task = name,
            error = text,
            failures = history.failures,
            "a background task failed and is tried again"
        );
        history.told = Some((Instant::now(), text));
    }
}

/// The failure with its cause, as people see it.
fn text(error: &TaskError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.contains(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text.chars().take(TEXT).collect()
}

fn span(time: Duration) -> TimeDelta {
    TimeDelta::from_std(time).unwrap_or(TimeDelta::MAX)
}
