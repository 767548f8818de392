//! The shape that all deliveries have.

use chrono::{DateTime, Utc};
use rand::Rng as _;
use serde_json::Value;

use crate::engine::plan::{Planned, plan};
use crate::engine::verdict::Terms;
use crate::hubspot::key::key;
use crate::hubspot::{Call, Failure};
use crate::mapping::ObjectKind;
use crate::queue::model::{Lease, Record, Stage};
use crate::worker::Worker;
use crate::worker::work::StepError;

/// A kind of call, from a leased batch to its settlement.
pub(super) trait Delivery: Send + Sync + 'static {
    /// The most records of one lease.
    const LARGEST: usize;
    /// What the call does, if there is a choice.
    type How: Send + Sync;
    /// What one entry of the call is about: a record or a pair.
    type Item: Send + Sync;
    /// The results, as the queue stores them.
    type Settled: Settled;

    /// Chooses what the next call takes.
    fn select(
        cx: &Context<'_>,
        records: Vec<Record>,
    ) -> impl Future<Output = Result<Selection<Self>, StepError>> + Send;

    /// Stores what the call is about to do, if a lost reply must not leave it unknown. Returns
    /// `false` if the lease is lost; then nothing may be sent.
    fn intend(
        _cx: &Context<'_>,
        _lease: &Lease,
        _how: &Self::How,
        _items: &[Self::Item],
    ) -> impl Future<Output = Result<bool, StepError>> + Send {
        async { Ok(true) }
    }

    /// Builds the call.
    fn call(cx: &Context<'_>, how: &Self::How, items: &[Self::Item]) -> Call;

    /// Reads HubSpot's answer.
    fn judge(
        cx: &Context<'_>,
        how: &mut Self::How,
        items: Vec<Self::Item>,
        answer: Result<Value, Failure>,
    ) -> impl Future<Output = Result<Judged<Self>, StepError>> + Send;

    /// Releases what was not sent.
    fn release(how: Self::How, items: Vec<Self::Item>) -> Self::Settled;

    /// The record of an item, whose lease is renewed before a further call.
    fn record(item: &Self::Item) -> i64;
}

/// What a delivery has chosen from a leased batch.
pub(super) struct Selection<D: Delivery + ?Sized> {
    pub(super) how: D::How,
    /// What the call takes. Empty if no call is needed.
    pub(super) items: Vec<D::Item>,
    /// What ends now: records that need no call, and those that another call takes.
    pub(super) settled: D::Settled,
}

/// What an answer means.
pub(super) enum Judged<D: Delivery + ?Sized> {
    /// Every item has its result. `closed` says whether a failure closed a gate.
    Settled { settled: D::Settled, closed: bool },
    /// HubSpot refused the whole call. These parts are sent instead, to find the bad items.
    Divided(Vec<Vec<D::Item>>),
}

/// Results that end leases.
pub(super) trait Settled: Send {
    /// Whether there is nothing to store.
    fn is_empty(&self) -> bool;

    /// Stores the results of the call with this number.
    fn store(
        self,
        worker: &Worker,
        lease: &Lease,
        call: Option<i64>,
    ) -> impl Future<Output = Result<(), StepError>> + Send;
}

/// What the deliveries of one batch have in common.
pub(super) struct Context<'a> {
    pub(super) worker: &'a Worker,
    pub(super) object: &'a ObjectKind,
    pub(super) stage: Stage,
    /// Whether the batch is a probe, whose failure is not counted.
    pub(super) probing: bool,
}

impl<'a> Context<'a> {
    /// Plans a record, without the account's definitions.
    pub(super) fn plan(&self, record: Record) -> Planned {
        plan(&self.worker.portal.mapping, self.object, None, record)
    }

    /// The key of a record in HubSpot.
    pub(super) fn key_of(&self, planned: &Planned) -> String {
        key(self.worker.settings.namespace.as_deref(), &planned.record.external_id)
    }

    /// What settlements at this moment depend on.
    pub(super) async fn terms(&self) -> Result<Terms<'a>, StepError> {
        Ok(self.terms_at(self.worker.now().await?))
    }

    /// What settlements at `now` depend on.
    pub(super) fn terms_at(&self, now: DateTime<Utc>) -> Terms<'a> {
        let settings = &self.worker.settings;
        let probe = self.probing.then_some(settings.breaker.rest);
        Terms {
            object: self.object,
            retry: &settings.retry,
            now,
            dice: rand::rng().random(),
            probe,
        }
    }

    /// Closes the gate that `failure` calls for, if any. Returns whether it did.
    pub(super) async fn close_for(
        &self,
        failure: &Failure,
        now: DateTime<Utc>,
    ) -> Result<bool, StepError> {
        Ok(self.worker.close_for(&self.object.sync_type, failure, now).await?)
    }
}
