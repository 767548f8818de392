//! Pausing and resuming all sending.

use super::views::Actor;
use super::{Operator, OperatorError, bounds};

impl Operator {
    /// Stops sending. Events are still accepted and wait.
    ///
    /// # Errors
    /// When the reason is too long, or the database fails.
    pub async fn pause(&self, reason: Option<&str>, actor: &Actor) -> Result<(), OperatorError> {
        let reason = bounds::reason(reason)?;
        let now = self.queue.now().await?;
        self.queue.pause(&actor.name, reason, now).await?;
        self.forget().await;
        Ok(())
    }

    /// Resumes sending, and checks again the gates that a fault has closed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, actor: &Actor) -> Result<(), OperatorError> {
        let now = self.queue.now().await?;
        self.queue.resume(&actor.name, now).await?;
        self.forget().await;
        Ok(())
    }
}
