//! Background tasks: work that is repeated, each task on a clock of its own.
//!
//! A task is registered once, with a name, a description and a period. The [`Driver`] runs it,
//! stores how the last run went, and tries again after a failure. `tasks` lists the tasks of
//! a process that sends. `app` adds those that every process has.

mod driver;
mod tasks;

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::work::StepError;
use crate::queue::QueueError;
use crate::queue::upkeep::tasks::TaskInfo;
use crate::queue::watchdog::Silent;

pub use driver::Driver;
pub(super) use tasks::{Start, registered};

/// A task that failed is tried again after this time, or after its period if that is shorter.
const AGAIN: Duration = Duration::from_secs(60);

/// The processes that run a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunsOn {
    /// Every process.
    Everywhere,
    /// One process at a time, which holds a lease while it runs the task.
    Leader,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    text: String,
    again: Option<Duration>,
}

impl Done {
    /// Says in a few words what the run did.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), again: None }
    }

    /// Says how many things the run dealt with, such as "deleted 7 lines".
    fn counted(verb: &str, count: u64, what: &str) -> Self {
        Self::new(match count {
            0 => "nothing to do".to_owned(),
            1 => format!("{verb} 1 {what}"),
            _ => format!("{verb} {count} {what}s"),
        })
    }

    /// Asks for the next run after `wait` instead of the period.
    #[must_use]
    pub fn again_in(mut self, wait: Duration) -> Self {
        self.again = Some(wait);
        self
    }
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// A worker's step failed.
    #[error(transparent)]
    Step(#[from] StepError),
    /// The database neither answered nor reported an error.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// The run took too long.
    #[error("the run was not finished after {} seconds and was ended", .0.as_secs())]
    Slow(Duration),
    /// The task says itself what is wrong.
    #[error("{text}")]
    Said {
        /// The reason, as people see it.
        text: String,
        /// When to try again, if not after the usual time.
        again: Option<Duration>,
    },
}

/// The work of a task.
pub trait Job: Send {
    /// Runs the task once.
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>>;
}

/// A registered task.
pub struct Task {
    info: TaskInfo,
    period: Duration,
    /// The wait after a failure.
    retry: Duration,
    /// Ends the wait for the next run.
    wake: Option<Arc<Notify>>,
    job: Box<dyn Job>,
}

impl Task {
    /// Registers `job`. `description` says what the task does, and `impact` what happens while it
    /// fails, both in a sentence.
    pub fn new(
        name: &'static str,
        (description, impact): (&'static str, &'static str),
        period: Duration,
        runs_on: RunsOn,
        job: impl Job + 'static,
    ) -> Self {
        let everywhere = runs_on == RunsOn::Everywhere;
        let span = TimeDelta::from_std(period).unwrap_or(TimeDelta::MAX);
        let info = TaskInfo { name, description, impact, period: span, everywhere };
        Self { info, period, retry: period.min(AGAIN), wake: None, job: Box::new(job) }
    }

    /// Begins the next run early when `wake` is notified.
    #[must_use]
    pub fn woken_by(mut self, wake: &Arc<Notify>) -> Self {
        self.wake = Some(Arc::clone(wake));
        self
    }

    /// The task's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.info.name
    }
}
