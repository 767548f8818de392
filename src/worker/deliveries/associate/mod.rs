//! Creates and removes associations. Each step makes one call, for the largest group of pairs that
//! fit into one call.
//!
//! Old pairs are removed before new ones are created. The rest of the lease is released and is due
//! again.

mod call;
mod judge;
mod select;

use std::collections::HashMap;

use serde_json::Value;

use crate::hubspot::{Call, Failure, associate};
use crate::queue::delivery::settlement::Backoff;
use crate::queue::delivery::slots::{OwedSlot, SlotSettlement, SlotVerdict};
use crate::queue::model::{Lease, Record};
use crate::worker::Worker;
use crate::worker::deliveries::delivery::{Context, Delivery, Judged, Selection, Settled};
use crate::worker::work::StepError;

/// Batch create and batch archive of associations.
pub(super) struct Associate;

/// The pairs that one call can contain: all have the same object types and association types.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Group {
    /// False sorts first, so groups that remove pairs are sent first.
    makes: bool,
    target: String,
    type_id: u32,
}

/// The group of the call, and the lease that its answer ends.
pub(super) struct How {
    group: Group,
    /// The transient failures in a row of each record.
    failures: HashMap<i64, i32>,
    settled: Slots,
}

/// The results of slots. All records of the lease are settled together, because a record may have
/// slots in several groups.
#[derive(Debug, Default)]
pub(super) struct Slots {
    records: Vec<i64>,
    verdicts: Vec<(OwedSlot, SlotVerdict)>,
    /// How the backoff of each record changes. It stays as it is for records that are not named.
    backoffs: HashMap<i64, Backoff>,
}

impl Settled for Slots {
    fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    async fn store(
        self,
        worker: &Worker,
        lease: &Lease,
        call: Option<i64>,
    ) -> Result<(), StepError> {
        let now = worker.now().await?;
        let Self { records, verdicts, backoffs } = &self;
        let backoff = |record: i64| backoffs.get(&record).copied().unwrap_or(Backoff::AsBefore);
        let max_retries = worker.settings.retry.max_retries;
        let settlement = SlotSettlement { records, verdicts, max_retries, call };
        worker.portal.queue.settle_slots(lease, &settlement, backoff, now).await?;
        Ok(())
    }
}

impl Delivery for Associate {
    const LARGEST: usize = associate::LARGEST;
    type How = How;
    type Item = OwedSlot;
    type Settled = Slots;

    async fn select(cx: &Context<'_>, records: Vec<Record>) -> Result<Selection<Self>, StepError> {
        select::select(cx, &records).await
    }

    async fn intend(
        cx: &Context<'_>,
        lease: &Lease,
        how: &How,
        items: &[OwedSlot],
    ) -> Result<bool, StepError> {
        let queue = &cx.worker.portal.queue;
        Ok(!how.group.makes || queue.intend(lease, &items.iter().collect::<Vec<_>>()).await?)
    }

    fn call(cx: &Context<'_>, how: &How, items: &[OwedSlot]) -> Call {
        call::call(cx, &how.group, items)
    }

    async fn judge(
        cx: &Context<'_>,
        how: &mut How,
        items: Vec<OwedSlot>,
        answer: Result<Value, Failure>,
    ) -> Result<Judged<Self>, StepError> {
        judge::judge(cx, how, items, answer).await
    }

    fn release(how: How, _items: Vec<OwedSlot>) -> Slots {
        how.settled
    }

    fn record(item: &OwedSlot) -> i64 {
        item.record_id
    }
}
