//! Makes records due that no event makes due: after a lease expired, when the other end of an
//! association exists, and where rows were stranded.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use crate::queue::Queue;
use crate::worker::background::{Done, Job, TaskError};
use crate::worker::janitor;

/// Takes expired leases back. It also lets a worker look each time, because retries and gates
/// become due with time, and no notification is sent for that.
pub(super) struct Leases {
    pub(super) queue: Queue,
    pub(super) wake: Arc<Notify>,
}

impl Job for Leases {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let now = self.queue.now().await?;
            let reaped = janitor::reap(&self.queue, now).await?;
            self.wake.notify_one();
            Ok(Done::counted("took back", reaped as u64, "record"))
        })
    }
}

pub(super) struct Links {
    pub(super) queue: Queue,
    pub(super) wake: Arc<Notify>,
}

impl Job for Links {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let now = self.queue.about_now().await?;
            let woken = self.queue.wake_linked(now).await?;
            if woken > 0 {
                self.wake.notify_one();
            }
            Ok(Done::counted("woke", woken as u64, "record"))
        })
    }
}

pub(super) struct Stranded {
    pub(super) queue: Queue,
    pub(super) wake: Arc<Notify>,
}

impl Job for Stranded {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            let now = self.queue.about_now().await?;
            let stranded = janitor::unstrand(&self.queue, now).await?;
            if stranded > 0 {
                self.wake.notify_one();
            }
            Ok(Done::counted("found", stranded as u64, "stranded record"))
        })
    }
}
