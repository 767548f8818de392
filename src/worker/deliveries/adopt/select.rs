//! Selects the records that are looked up in the same way. Records whose conflicting id HubSpot
//! named come first, then those that are looked up by key, then those by e-mail address.

use crate::engine::plan::Planned;
use crate::queue::model::Record;
use crate::worker::deliveries::adopt::verdict::conflict;
use crate::worker::deliveries::adopt::{Adopt, By, sought};
use crate::worker::deliveries::delivery::{Context, Selection};
use crate::worker::deliveries::settle::release;
use crate::worker::work::StepError;

pub(super) async fn select(
    cx: &Context<'_>,
    records: Vec<Record>,
) -> Result<Selection<Adopt>, StepError> {
    let planned: Vec<Planned> = records.into_iter().map(|record| cx.plan(record)).collect();
    let by = [By::Id, By::Key].into_iter().find(|by| planned.iter().any(|p| By::of(p) == *by));
    let by = by.unwrap_or(By::Email);
    let (group, rest): (Vec<_>, Vec<_>) = planned.into_iter().partition(|p| By::of(p) == by);
    let (items, lost): (Vec<_>, Vec<_>) =
        group.into_iter().partition(|p| sought(cx, p, by).is_some());
    let terms = cx.terms().await?;
    // A record without the value that it is looked up by cannot be looked up.
    let lost = lost.iter().map(|p| conflict(p, None, None, None, terms));
    let settled = rest.iter().map(release).chain(lost).collect();
    Ok(Selection { how: by, items, settled })
}
