//! Checks the HubSpot account: at the start until HubSpot answers, then every hour.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Notify;

use super::{SECOND, Start, UNANSWERED};
use crate::worker::Worker;
use crate::worker::background::{Done, Job, TaskError};

pub(super) struct Check {
    pub(super) worker: Worker,
    pub(super) start: Start,
    /// Notified when HubSpot has answered.
    pub(super) checked: Arc<Notify>,
}

impl Job for Check {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            if !self.worker.enabled() {
                return Ok(Done::new("waits: sending is switched off").again_in(SECOND));
            }
            if let Err(failure) = self.worker.ask_account().await? {
                let text = format!("HubSpot did not name the account: {}", failure.code);
                // Nothing is sent before the first answer.
                let again = (!self.start.known.is_cancelled()).then_some(UNANSWERED);
                return Err(TaskError::Said { text, again });
            }
            self.start.known.cancel();
            self.checked.notify_one();
            Ok(Done::new(if self.worker.connection.permits.foreign() {
                "the token belongs to another account: nothing is sent"
            } else {
                "the token belongs to the linked account"
            }))
        })
    }
}
