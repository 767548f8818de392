//! One step of a worker: choose what is due, get a permit, lease, deliver, settle.

use std::time::Instant;

use chrono::TimeDelta;

use super::Worker;
use super::deliveries;
use super::work::{Delivered, StepError, Work};
use crate::engine::breaker::batch_limit;
use crate::portals::{NoPermit, Permit};
use crate::queue::QueueError;
use crate::queue::delivery::lease::Due;
use crate::queue::gates::kind::GateKind;

/// The result of one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing is due, or everything that is due is behind a closed gate.
    Idle,
    /// Records were settled, with this many calls.
    Worked {
        /// Records leased.
        records: usize,
        /// Calls made.
        calls: usize,
    },
}

impl Worker {
    /// Delivers one batch that is due, with the settings at the start of the step.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn step(&self) -> Result<Step, StepError> {
        match self.frozen() {
            Some(worker) if !worker.connection.permits.foreign() => worker.step_now().await,
            _ => Ok(Step::Idle),
        }
    }

    async fn step_now(&self) -> Result<Step, StepError> {
        let kinds = self.kinds();
        let now = self.now().await?;
        let Some(mut due) = self.portal.queue.due(&kinds, now).await? else {
            return Ok(Step::Idle);
        };
        let asked = Instant::now();
        let permit = match self.connection.permits.acquire(self.settings.timeout).await {
            Ok(permit) => permit,
            Err(NoPermit::Spent | NoPermit::ShuttingDown) => return Ok(Step::Idle),
            Err(NoPermit::Queue(error)) => return Err(error.into()),
        };
        // During the wait, something else may have become first, or a gate may have closed. The
        // last part of the daily quota is reserved for urgent rows.
        if asked.elapsed().as_millis() > 20 || (permit.scarce() && !due.urgent) {
            let now = self.now().await?;
            // Sending may also have been switched off.
            let next =
                if self.enabled() { self.portal.queue.due(&kinds, now).await? } else { None };
            match next {
                Some(next) => due = next,
                None => {
                    self.connection.permits.give_back(permit).await;
                    return Ok(Step::Idle);
                }
            }
        }
        let (left, result) = self.lease_and_deliver(due, permit).await?;
        if let Some(permit) = left {
            self.connection.permits.give_back(permit).await;
        }
        Ok(result)
    }

    async fn lease_and_deliver(
        &self,
        due: Due,
        permit: Permit,
    ) -> Result<(Option<Permit>, Step), StepError> {
        let leased_at = Instant::now();
        let now = self.now().await?;
        let probing = due.probe.is_some();
        let patience = TimeDelta::seconds(30);
        if probing && !self.portal.queue.claim_probe(&due.sync_type, patience, now).await? {
            return Ok((Some(permit), Step::Idle));
        }
        let delivery = deliveries::of(due.stage);
        let most = delivery.largest();
        let limit = if probing { 1 } else { batch_limit(due.failures, most) as i64 };
        let Some(batch) = self.portal.queue.lease(&due, limit, &self.holder, now).await? else {
            if probing {
                self.portal.queue.unclaim_probe(&due.sync_type, now).await?;
            }
            return Ok((Some(permit), Step::Worked { records: 0, calls: 0 }));
        };
        let object = self
            .portal
            .mapping
            .object(&batch.sync_type)
            .ok_or_else(|| StepError::UnknownKind(batch.sync_type.clone()))?;
        let records = batch.records.len();
        tracing::debug!(
            lease.token = batch.lease.token,
            lease.records = records,
            sync_type = batch.sync_type,
            stage = batch.stage.as_str(),
            "leased"
        );
        let work = Work { batch, leased_at, object, permit, probing };
        let done = delivery.deliver(self, work).await?;
        self.learn(&due, &done).await?;
        Ok((done.permit, Step::Worked { records, calls: done.calls }))
    }

    /// Records what the step's calls say about HubSpot: a gate may open, or an outage closes one.
    async fn learn(&self, due: &Due, done: &Delivered) -> Result<(), QueueError> {
        let now = self.now().await?;
        let policy = self.settings.breaker;
        match (&due.probe, done.calls) {
            (Some(_), 0) => self.portal.queue.unclaim_probe(&due.sync_type, now).await,
            (Some(_), _) => {
                self.portal.queue.probed(!done.transient, policy.probes, policy.rest, now).await?;
                if done.closed || done.transient {
                    return Ok(());
                }
                tracing::info!(sync_type = due.sync_type, "a probe came through");
                self.portal.queue.open_fault_gates(&due.sync_type).await
            }
            (None, _) if done.transient => {
                let since = now - policy.within;
                if policy.trips(self.portal.queue.tally(since).await?)
                    && self.portal.queue.trip(since, now + policy.rest, now).await?
                {
                    metrics::counter!("hubferry_breaker_trips_total").increment(1);
                    tracing::error!(
                        gate.kind = GateKind::Breaker.as_str(),
                        "HubSpot is down: the gate closes, and what failed is given back"
                    );
                }
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }
}
