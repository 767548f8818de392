//! Resolves conflicts: another HubSpot record holds a unique value of this record. That HubSpot
//! record is read, and adopted if no other record is linked to it. Otherwise the row fails, and its
//! error names the other record. Records that cannot be created yet are also looked up here by
//! their key, because HubSpot may have them already.
//!
//! hubferry never upserts by e-mail, because that would silently take over a contact that belongs
//! to another external id.

mod call;
mod conflicts;
mod judge;
mod select;
mod verdict;

use serde_json::Value;

use crate::engine::plan::Planned;
use crate::hubspot::batch::{self, Written};
use crate::hubspot::{Call, Failure};
use crate::mapping::ObjectKind;
use crate::queue::delivery::settlement::Settlement;
use crate::queue::model::{Lookup, Record};
use crate::worker::deliveries::delivery::{Context, Delivery, Judged, Selection};
use crate::worker::deliveries::settle::release;
use crate::worker::work::StepError;
pub(in crate::worker) use conflicts::Conflicts;

/// HubSpot's property for further e-mail addresses of a contact.
const MORE_EMAILS: &str = "hs_additional_emails";

/// Batch read of records that may be adopted.
pub(super) struct Adopt;

/// What records are looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The id that HubSpot named.
    Id,
    /// The record's key.
    Key,
    /// The record's e-mail address.
    Email,
}

impl By {
    fn of(planned: &Planned) -> Self {
        match planned.record.lookup {
            Some(Lookup::Id(_)) => Self::Id,
            Some(Lookup::Key(_)) => Self::Key,
            _ => Self::Email,
        }
    }

    /// The unique property that HubSpot is asked for.
    fn property(self, object: &ObjectKind) -> Option<&str> {
        match self {
            Self::Id => None,
            Self::Key => Some(&object.key),
            Self::Email => object.email_property.as_deref(),
        }
    }
}

/// The value that a record is looked up by.
fn sought(cx: &Context<'_>, planned: &Planned, by: By) -> Option<String> {
    match by {
        By::Id => planned.record.lookup.as_ref().and_then(Lookup::id).map(str::to_owned),
        By::Key => Some(cx.key_of(planned)),
        By::Email => {
            let email = planned.folded.properties.get(cx.object.email_property.as_ref()?)?;
            Some(email.value.to_lowercase()).filter(|email| !email.is_empty())
        }
    }
}

/// Whether HubSpot's record is the one that was looked up. A merge gives a record another id, and a
/// contact that is found by a further address shows its first address.
fn is(found: &Written, object: &ObjectKind, wanted: &str, by: By) -> bool {
    let list = |name: &str| found.properties.get(name).cloned().unwrap_or_default();
    match by {
        By::Id => found.id == wanted || found.merged().any(|id| id == wanted),
        By::Key => list(&object.key) == wanted,
        By::Email => {
            let email = object.email_property.as_ref().map(|name| list(name)).unwrap_or_default();
            let more = list(MORE_EMAILS);
            std::iter::once(email.as_str())
                .chain(more.split(';'))
                .any(|e| e.eq_ignore_ascii_case(wanted))
        }
    }
}

impl Delivery for Adopt {
    const LARGEST: usize = batch::LARGEST;
    type How = By;
    type Item = Planned;
    type Settled = Vec<Settlement>;

    async fn select(cx: &Context<'_>, records: Vec<Record>) -> Result<Selection<Self>, StepError> {
        select::select(cx, records).await
    }

    fn call(cx: &Context<'_>, how: &By, items: &[Planned]) -> Call {
        call::call(cx, *how, items)
    }

    async fn judge(
        cx: &Context<'_>,
        how: &mut By,
        items: Vec<Planned>,
        answer: Result<Value, Failure>,
    ) -> Result<Judged<Self>, StepError> {
        judge::judge(cx, *how, &items, answer).await
    }

    fn release(_how: By, items: Vec<Planned>) -> Vec<Settlement> {
        items.iter().map(release).collect()
    }

    fn record(item: &Planned) -> i64 {
        item.record.id
    }
}
