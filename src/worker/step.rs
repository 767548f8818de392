//! One step of a worker: choose what is due, get a permit, lease, deliver, settle.

use std::time::Instant;

use chrono::{DateTime, TimeDelta, Utc};

use super::Worker;
use super::permit::{NoPermit, Permit};
use super::watchdog::Silent;
use crate::engine::breaker::company;
use crate::hubspot::{Blame, Class, Failure, associate, batch};
use crate::mapping::ObjectKind;
use crate::queue::QueueError;
use crate::queue::delivery::lease::Due;
use crate::queue::gates::gate::{Closure, GateKind};
use crate::queue::model::{Batch, Stage};

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

/// The result of delivering a batch.
pub(super) struct Delivered {
    /// The permit, if no call was made on it.
    pub(super) permit: Option<Permit>,
    /// Calls made.
    pub(super) calls: usize,
    /// Whether a failure closed the gate.
    pub(super) closed: bool,
    /// Whether HubSpot failed a call or did not answer.
    pub(super) transient: bool,
}

impl Delivered {
    /// No call was made.
    pub(super) fn without_call(permit: Permit) -> Self {
        Self { permit: Some(permit), calls: 0, closed: false, transient: false }
    }
}

/// A leased batch, and what is needed to deliver it.
pub(super) struct Work<'a> {
    pub(super) batch: Batch,
    /// When it was leased, on this process's clock.
    pub(super) leased_at: Instant,
    pub(super) object: &'a ObjectKind,
    pub(super) permit: Permit,
    /// Whether the batch is one record that tests whether a gate may open. Its failure is not
    /// counted.
    pub(super) probing: bool,
}

/// Why a step failed. Nothing is lost: the step's leases expire and are reclaimed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database neither answered nor reported an error.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// A due record has a kind that the object file no longer names.
    #[error("the object file has no kind `{0}`, but records of it are due")]
    UnknownKind(String),
}

impl Worker {
    /// Delivers one batch that is due, with the settings at the start of the step.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn step(&self) -> Result<Step, StepError> {
        match self.frozen() {
            Some(worker) if !worker.permits.foreign() => worker.step_now().await,
            _ => Ok(Step::Idle),
        }
    }

    async fn step_now(&self) -> Result<Step, StepError> {
        let kinds = self.kinds();
        let now = self.now().await?;
        let Some(mut due) = self.queue.due(&kinds, now).await? else {
            return Ok(Step::Idle);
        };
        let asked = Instant::now();
        let permit = match self.permits.acquire(self.settings.timeout).await {
            Ok(permit) => permit,
            Err(NoPermit::Spent | NoPermit::ShuttingDown) => return Ok(Step::Idle),
            Err(NoPermit::Queue(error)) => return Err(error.into()),
        };
        // During the wait, something else may have become first, or a gate may have closed. The
        // last part of the daily quota is reserved for urgent rows.
        if asked.elapsed().as_millis() > 20 || (permit.scarce() && !due.urgent) {
            let now = self.now().await?;
            // Sending may also have been switched off.
            let next = if self.enabled() { self.queue.due(&kinds, now).await? } else { None };
            match next {
                Some(next) => due = next,
                None => {
                    self.permits.give_back(permit).await;
                    return Ok(Step::Idle);
                }
            }
        }
        let (left, result) = self.lease_and_deliver(due, permit).await?;
        if let Some(permit) = left {
            self.permits.give_back(permit).await;
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
        if probing && !self.queue.claim_probe(&due.sync_type, patience, now).await? {
            return Ok((Some(permit), Step::Idle));
        }
        let most = if due.stage == Stage::Associate { associate::LARGEST } else { batch::LARGEST };
        let limit = if probing { 1 } else { company(due.failures, most) as i64 };
        let Some(batch) = self.queue.lease(&due, limit, &self.holder, now).await? else {
            if probing {
                self.queue.unclaim_probe(&due.sync_type, now).await?;
            }
            return Ok((Some(permit), Step::Worked { records: 0, calls: 0 }));
        };
        let object = self
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
        let done = match work.batch.stage {
            Stage::Create | Stage::Update => self.deliver(work).await?,
            Stage::Associate => self.associate(work).await?,
            Stage::Resolve => self.resolve(work).await?,
            Stage::Archive | Stage::Erase => self.archive(work).await?,
        };
        self.learn(&due, &done).await?;
        Ok((done.permit, Step::Worked { records, calls: done.calls }))
    }

    /// Records what the step's calls say about HubSpot: a gate may open, or an outage closes one.
    async fn learn(&self, due: &Due, done: &Delivered) -> Result<(), QueueError> {
        let now = self.now().await?;
        let policy = self.settings.breaker;
        match (&due.probe, done.calls) {
            (Some(_), 0) => self.queue.unclaim_probe(&due.sync_type, now).await,
            (Some(_), _) => {
                self.queue.probed(!done.transient, policy.probes, policy.rest, now).await?;
                if done.closed || done.transient {
                    return Ok(());
                }
                tracing::info!(sync_type = due.sync_type, "a probe came through");
                self.queue.mended(&due.sync_type).await
            }
            (None, _) if done.transient => {
                let since = now - policy.within;
                if policy.trips(self.queue.tally(since).await?)
                    && self.queue.trip(since, now + policy.rest, now).await?
                {
                    metrics::counter!("hubferry_breaker_trips_total").increment(1);
                    tracing::error!(
                        gate.kind = "breaker",
                        "HubSpot is down: the gate closes, and what failed is given back"
                    );
                }
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    /// Closes the gate that `failure` calls for, if any. Returns whether it did.
    pub(super) async fn close_for(
        &self,
        sync_type: &str,
        failure: &Failure,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let missing_property = failure.code == "PROPERTY_DOESNT_EXIST";
        let (kind, wait, whole) = match (failure.class, failure.class.blame()) {
            (Class::ThrottledWindow, _) => (GateKind::Window, failure.wait, true),
            (Class::Locked, _) => (GateKind::Locked, failure.wait, true),
            (Class::Migrating, _) => (GateKind::Migrating, failure.wait, true),
            (Class::ThrottledDaily, _) => (GateKind::Daily, None, true),
            (Class::Unauthorized | Class::OauthTerminal, _) => (GateKind::Credentials, None, true),
            (Class::Forbidden, _) => (GateKind::Scope, None, false),
            (_, Blame::Misconfigured) => (GateKind::Schema, None, false),
            _ if missing_property => (GateKind::Schema, None, false),
            _ => return Ok(false),
        };
        let until = match (kind, wait) {
            // Whatever HubSpot says: the wait is neither zero nor endless.
            (_, Some(wait)) => {
                let wait = TimeDelta::from_std(wait).unwrap_or(TimeDelta::days(1));
                now + wait.clamp(TimeDelta::seconds(1), TimeDelta::days(1))
            }
            (GateKind::Daily, None) => self.queue.day_ends(now).await?,
            (_, None) => now + TimeDelta::seconds(60),
        };
        let closure = Closure {
            sync_type: (!whole).then(|| sync_type.to_owned()),
            code: Some(failure.code.clone()),
            reason: match &failure.property {
                Some(property) => format!("HubSpot refuses `{property}`: {}", failure.code),
                None => format!("HubSpot answered {}", failure.code),
            },
            hint: failure.hint.clone(),
        };
        tracing::warn!(
            gate.kind = kind.as_str(),
            gate.code = failure.code,
            gate.until = %until,
            "the gate closes"
        );
        self.queue.close_gate(kind, &closure, Some(until), now).await?;
        Ok(true)
    }
}
