//! Archives and erases records when the application deletes them. Calls use only HubSpot's id.
//! Links that are unknown, or that a merge may have changed, are read first, in a step of their
//! own.

mod adopted;
mod call;
mod judge;
mod select;

use std::collections::HashSet;

use serde_json::Value;

use crate::engine::plan::Planned;
use crate::hubspot::{Call, Failure, batch};
use crate::queue::delivery::settlement::Settlement;
use crate::queue::model::Record;
use crate::worker::deliveries::delivery::{Context, Delivery, Judged, Selection};
use crate::worker::deliveries::settle::release;
use crate::worker::work::StepError;

/// Batch archive, `gdpr-delete`, and what must be read before them.
pub(super) struct Delete;

/// What the call does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Read the link of a record that a lost call may have created.
    Find,
    /// Check that the link still leads to this record. People may have merged it into another one.
    Verify,
    /// Move the record to HubSpot's recycle bin.
    Archive,
    /// Remove hubferry's key from an adopted record, and leave the record in HubSpot.
    Unlink,
    /// Erase the record permanently, one record a call.
    Erase,
}

/// What the call does, and which records pass their HubSpot record on to an alias.
pub(super) struct How {
    purpose: Purpose,
    inherited: HashSet<i64>,
}

impl Delivery for Delete {
    const LARGEST: usize = batch::LARGEST;
    type How = How;
    type Item = Planned;
    type Settled = Vec<Settlement>;

    async fn select(cx: &Context<'_>, records: Vec<Record>) -> Result<Selection<Self>, StepError> {
        select::select(cx, records).await
    }

    fn call(cx: &Context<'_>, how: &How, items: &[Planned]) -> Call {
        call::call(cx, how.purpose, items)
    }

    async fn judge(
        cx: &Context<'_>,
        how: &mut How,
        items: Vec<Planned>,
        answer: Result<Value, Failure>,
    ) -> Result<Judged<Self>, StepError> {
        judge::judge(cx, how, &items, answer).await
    }

    fn release(_how: How, items: Vec<Planned>) -> Vec<Settlement> {
        items.iter().map(release).collect()
    }

    fn record(item: &Planned) -> i64 {
        item.record.id
    }
}
