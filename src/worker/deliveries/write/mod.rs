//! Creates and updates records, up to 100 in a call. If HubSpot refuses a batch as a whole, its bad
//! records are isolated.

mod call;
mod isolate;
mod judge;
mod select;

use serde_json::Value;

use crate::engine::plan::Planned;
use crate::hubspot::batch::{self, Input};
use crate::hubspot::{Call, Failure};
use crate::queue::delivery::settlement::Settlement;
use crate::queue::model::Record;
use crate::worker::deliveries::delivery::{Context, Delivery, Judged, Selection};
use crate::worker::deliveries::settle::release;
use crate::worker::work::StepError;

/// Batch upsert and batch update.
pub(super) struct Write;

/// How many bad records a batch has shown so far.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    bad: usize,
}

/// A record that will be written.
pub(super) struct Writing {
    planned: Planned,
    input: Input,
}

impl Delivery for Write {
    const LARGEST: usize = batch::LARGEST;
    type How = Isolation;
    type Item = Writing;
    type Settled = Vec<Settlement>;

    async fn select(cx: &Context<'_>, records: Vec<Record>) -> Result<Selection<Self>, StepError> {
        select::select(cx, records).await
    }

    fn call(cx: &Context<'_>, _how: &Isolation, items: &[Writing]) -> Call {
        call::call(cx, items)
    }

    async fn judge(
        cx: &Context<'_>,
        how: &mut Isolation,
        items: Vec<Writing>,
        answer: Result<Value, Failure>,
    ) -> Result<Judged<Self>, StepError> {
        judge::judge(cx, how, items, answer).await
    }

    fn release(_how: Isolation, items: Vec<Writing>) -> Vec<Settlement> {
        items.iter().map(|work| release(&work.planned)).collect()
    }

    fn record(item: &Writing) -> i64 {
        item.planned.record.id
    }
}
