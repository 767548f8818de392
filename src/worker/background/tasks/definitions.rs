//! Keeps the cache of property definitions fresh.

use std::collections::BTreeMap;
use std::time::Instant;

use futures_util::future::BoxFuture;

use super::Start;
use crate::worker::Worker;
use crate::worker::background::{Done, Job, TaskError};

pub(super) struct Refresh {
    worker: Worker,
    start: Start,
    /// The object kinds whose definitions could not be read, with the reason.
    unread: BTreeMap<String, String>,
}

impl Refresh {
    pub(super) fn new(worker: Worker, start: Start) -> Self {
        Self { worker, start, unread: BTreeMap::new() }
    }
}

impl Job for Refresh {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            if !self.start.known.is_cancelled() {
                return Ok(Done::new("waits until HubSpot has named the account"));
            }
            if !self.worker.enabled() {
                return Ok(Done::new("waits: sending is switched off"));
            }
            let read = self.worker.refresh_definitions(Instant::now()).await;
            self.start.ready.cancel();
            // HubSpot is asked again only after minutes. A run in between has not failed.
            let tried = !read.unread.is_empty();
            self.unread.retain(|kind, _| !read.kinds.contains(kind));
            self.unread.extend(read.unread);
            if self.unread.is_empty() {
                return Ok(Done::new("all definitions are fresh"));
            }
            let unread = self.unread.iter().map(|(kind, reason)| format!("{kind} ({reason})"));
            let unread = unread.collect::<Vec<_>>().join(", ");
            let text = format!("the definitions of {unread} could not be read");
            if !tried {
                return Ok(Done::new(text));
            }
            Err(TaskError::Said { text, again: None })
        })
    }
}
