//! Deletes what is older than the settings say.

use chrono::TimeDelta;
use futures_util::future::BoxFuture;

use super::SECOND;
use crate::queue::Queue;
use crate::worker::background::{Done, Job, TaskError};
use crate::worker::janitor;

pub(super) struct Calls {
    pub(super) queue: Queue,
    pub(super) keep: TimeDelta,
}

impl Job for Calls {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let deleted = janitor::prune(&self.queue, self.keep).await?;
            Ok(Done::counted("deleted", deleted, "call"))
        })
    }
}

pub(super) struct Audit {
    pub(super) queue: Queue,
    pub(super) keep: TimeDelta,
}

impl Job for Audit {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let deleted = janitor::prune_audit(&self.queue, self.keep).await?;
            Ok(Done::counted("deleted", deleted, "line"))
        })
    }
}

pub(super) struct Erasures {
    pub(super) queue: Queue,
}

impl Job for Erasures {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let emptied = self.queue.empty_erased_events().await?;
            Ok(Done::counted("emptied", emptied as u64, "event"))
        })
    }
}

pub(super) struct Rows {
    pub(super) queue: Queue,
    pub(super) keep: TimeDelta,
    /// The row where the last step ended. 0 begins again.
    pub(super) behind: i64,
}

impl Job for Rows {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            self.behind = janitor::forget(&self.queue, self.keep, self.behind).await?;
            Ok(match self.behind {
                0 => Done::new("nothing more to delete"),
                // Small steps, so that nothing else waits for them.
                _ => Done::new("deletes old rows step by step").again_in(SECOND),
            })
        })
    }
}
