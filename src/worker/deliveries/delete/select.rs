//! Selects the records that one call deletes, and settles those that need no call.

use crate::engine::plan::Planned;
use crate::engine::verdict::{deleted, passed_on, past, stale};
use crate::queue::model::{Lookup, Record, Stage};
use crate::worker::deliveries::delete::adopted::{Fate, asked, fate};
use crate::worker::deliveries::delete::{Delete, How, Purpose};
use crate::worker::deliveries::delivery::{Context, Selection};
use crate::worker::deliveries::settle::release;
use crate::worker::work::StepError;

pub(super) async fn select(
    cx: &Context<'_>,
    records: Vec<Record>,
) -> Result<Selection<Delete>, StepError> {
    let Context { worker, object, stage, .. } = *cx;
    let settings = &worker.settings;
    let erasing = stage == Stage::Erase;
    let planned: Vec<Planned> = records.into_iter().map(|record| cx.plan(record)).collect();
    let ids: Vec<i64> = planned.iter().map(|p| p.record.id).collect();
    let shared = worker.portal.queue.shared_links(&ids).await?;
    let inherited = worker.portal.queue.with_living_aliases(&ids).await?;

    // Records that need no call, records that must be read first, records that are to be deleted.
    let (mut settled, mut unsure, mut linked) = (Vec::new(), Vec::new(), Vec::new());
    for planned in planned {
        // A record without a link is looked up too, because a lost database may have linked it.
        let looked = planned.record.lookup == Some(Lookup::KeyNotFound);
        let deleted_before = planned.record.tombstone.is_some() || planned.record.shared;
        let first = !deleted_before && !looked;
        let unknown = erasing || planned.record.doubt != 0 || first;
        match &planned.record.hubspot_id {
            _ if !erasing && stale(&planned) => settled.push(past(&planned)),
            Some(_) if erasing && fate(settings, &planned, true) == Fate::Asked => {
                settled.push(asked(&planned));
            }
            // An alias takes over the HubSpot record.
            Some(_) if !erasing && inherited.contains(&planned.record.id) => {
                settled.push(passed_on(&planned));
            }
            // Another record shares this HubSpot record after a merge. The delete must not remove
            // it.
            Some(_) if !erasing && shared.contains(&planned.record.id) => {
                settled.push(deleted(&planned, erasing));
            }
            Some(_) => linked.push(planned),
            None if unknown => unsure.push(planned),
            None => settled.push(deleted(&planned, erasing)),
        }
    }
    let (verified, unverified): (Vec<_>, Vec<_>) =
        linked.into_iter().partition(|p| erasing || verified(p));
    let (purpose, mut items, mut rest) = if !unsure.is_empty() {
        (Purpose::Find, unsure, verified.into_iter().chain(unverified).collect())
    } else if !unverified.is_empty() {
        (Purpose::Verify, unverified, verified)
    } else {
        let (stay, go): (Vec<_>, Vec<_>) =
            verified.into_iter().partition(|p| fate(settings, p, erasing) == Fate::Stays);
        match (stay.is_empty(), erasing && object.erasable) {
            (false, _) => (Purpose::Unlink, stay, go),
            (true, true) => (Purpose::Erase, go, Vec::new()),
            (true, false) => (Purpose::Archive, go, Vec::new()),
        }
    };
    if purpose == Purpose::Erase {
        rest.extend(items.split_off(items.len().min(1)));
    }
    settled.extend(rest.iter().map(release));
    Ok(Selection { how: How { purpose, inherited }, items, settled })
}

/// Whether the link was already read for this delete.
fn verified(planned: &Planned) -> bool {
    matches!(planned.record.lookup, Some(Lookup::OwnLink | Lookup::DeleteAgain))
}
