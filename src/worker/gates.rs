//! Closes the gates that failures call for.

use chrono::{DateTime, Utc};

use super::Worker;
use crate::engine::gates::{Closing, closes};
use crate::hubspot::Failure;
use crate::queue::QueueError;

impl Worker {
    /// Closes the gate that `failure` calls for, if any. Returns whether it did.
    pub(super) async fn close_for(
        &self,
        sync_type: &str,
        failure: &Failure,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let Some(Closing { kind, wait, closure }) = closes(sync_type, failure) else {
            return Ok(false);
        };
        let until = match wait {
            Some(wait) => now + wait,
            None => self.portal.queue.day_ends(now).await?,
        };
        tracing::warn!(
            gate.kind = kind.as_str(),
            gate.code = failure.code,
            gate.until = %until,
            "the gate closes"
        );
        self.portal.queue.close_gate(kind, &closure, Some(until), now).await?;
        Ok(true)
    }
}
