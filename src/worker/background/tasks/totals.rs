//! Tidies up what only readers see: gates whose time is over, and the counters behind totals.

use futures_util::future::BoxFuture;

use crate::queue::Queue;
use crate::worker::background::{Done, Job, TaskError};

pub(super) struct Gates {
    pub(super) queue: Queue,
}

impl Job for Gates {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let now = self.queue.about_now().await?;
            self.queue.sweep_gates(now).await?;
            Ok(Done::new("done"))
        })
    }
}

pub(super) struct Totals {
    pub(super) queue: Queue,
}

impl Job for Totals {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let now = self.queue.about_now().await?;
            self.queue.fold_totals(now).await?;
            Ok(Done::new("done"))
        })
    }
}
