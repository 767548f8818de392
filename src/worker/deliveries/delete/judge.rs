//! Reads the answer: whose the records are, or that they are gone.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::engine::plan::Planned;
use crate::engine::verdict::{self, Terms, deleted, gone, passed_on};
use crate::hubspot::batch::{self, Written};
use crate::hubspot::{Class, Failure};
use crate::mapping::ObjectKind;
use crate::queue::QueueError;
use crate::queue::delivery::settlement::{Certainty, Link, LookupChange, Settlement};
use crate::queue::model::{Lookup, Stage};
use crate::worker::Worker;
use crate::worker::deliveries::delete::{Delete, How, Purpose, adopted};
use crate::worker::deliveries::delivery::{Context, Judged};
use crate::worker::deliveries::settle::{release, smaller, unread};
use crate::worker::work::StepError;

pub(super) async fn judge(
    cx: &Context<'_>,
    how: &mut How,
    items: &[Planned],
    answer: Result<Value, Failure>,
) -> Result<Judged<Delete>, StepError> {
    let erasing = cx.stage == Stage::Erase;
    let terms = cx.terms().await?;
    let mut closed = false;
    let settled: Vec<Settlement> = match answer {
        Ok(body) if how.purpose == Purpose::Find => find(cx, how, items, &body, terms).await?,
        Ok(body) if how.purpose == Purpose::Verify => {
            let (shown, missing) = (batch::results(&body), batch::missing(&body));
            let linked = linked(cx.worker, cx.object, &shown).await?;
            let verify = |p: &Planned| {
                let link = p.record.hubspot_id.as_ref();
                let gone = || link.is_some_and(|id| missing.contains(id)).then(|| unknown(p));
                let verified = verify(cx, p, &shown, &linked);
                verified.or_else(gone).unwrap_or_else(|| unread(p, terms))
            };
            items.iter().map(verify).collect()
        }
        Ok(body) if how.purpose == Purpose::Unlink => {
            let settled;
            (settled, closed) = adopted::unlinked(cx, items, &body, terms).await?;
            settled
        }
        Ok(_) => items.iter().map(|p| gone(p, erasing)).collect(),
        // A record that HubSpot does not have counts as deleted.
        Err(failure) if failure.class == Class::NotFound && items.len() == 1 => {
            items.iter().map(|p| gone(p, erasing)).collect()
        }
        // It is not known which record caused the refusal. Smaller batches find out.
        Err(failure) if items.len() > 1 && failure.blames_inputs() => {
            items.iter().map(smaller).collect()
        }
        Err(failure) => {
            closed = cx.close_for(&failure, terms.now).await?;
            let sent = BTreeMap::new();
            items.iter().map(|p| verdict::failed(p, &sent, &failure, terms)).collect()
        }
    };
    Ok(Judged::Settled { settled, closed })
}

/// Settles records that were looked up by their keys, because a lost call may have created them.
async fn find(
    cx: &Context<'_>,
    how: &How,
    items: &[Planned],
    body: &Value,
    terms: Terms<'_>,
) -> Result<Vec<Settlement>, StepError> {
    let erasing = cx.stage == Stage::Erase;
    let (shown, missing) = (batch::results(body), batch::missing(body));
    let linked = linked(cx.worker, cx.object, &shown).await?;
    let settle = |p: &Planned| {
        // A record that is linked elsewhere may still show the key of its previous owner.
        let key = cx.key_of(p);
        let others = shown.iter().any(|w| {
            w.properties.get(&cx.object.key) == Some(&key)
                && linked.get(&w.id).is_some_and(|id| *id != p.record.external_id)
        });
        if others || missing.contains(&key) {
            let passes_on = !erasing && how.inherited.contains(&p.record.id);
            return if passes_on { passed_on(p) } else { deleted(p, erasing) };
        }
        found(cx, p, &shown).unwrap_or_else(|| unread(p, terms))
    };
    Ok(items.iter().map(settle).collect())
}

/// The records that are linked to the HubSpot records `shown`, or to records merged into them.
async fn linked(
    worker: &Worker,
    object: &ObjectKind,
    shown: &[Written],
) -> Result<HashMap<String, String>, QueueError> {
    let mut ids: Vec<String> = shown.iter().flat_map(Written::merged).map(str::to_owned).collect();
    ids.extend(shown.iter().map(|w| w.id.clone()));
    worker.portal.queue.linked(&object.sync_type, &ids).await
}

/// Decides whose HubSpot record the link leads to: this record's own, or another record's,
/// which the delete must not remove.
fn verify(
    cx: &Context<'_>,
    planned: &Planned,
    shown: &[Written],
    linked: &HashMap<String, String>,
) -> Option<Settlement> {
    let link = planned.record.hubspot_id.as_deref().unwrap_or_default();
    let found = shown.iter().find(|w| w.id == link || w.merged().any(|id| id == link))?;
    let others = |id: &str| linked.get(id).is_some_and(|o| *o != planned.record.external_id);
    if others(&found.id) || found.merged().any(others) {
        // This merge was not known yet. It is stored before anything is deleted.
        let mut settlement = release(planned);
        if found.id != link {
            settlement.link = Link::Moved(found.id.clone());
        }
        settlement.absorbs = found.merged().map(str::to_owned).collect();
        return Some(settlement);
    }
    let key = found.properties.get(&cx.object.key).map_or("", String::as_str);
    if found.id != link && !key.is_empty() && key != cx.key_of(planned) {
        return Some(deleted(planned, false));
    }
    let mut settlement = release(planned);
    if found.id != link {
        settlement.link = Link::Set(found.id.clone());
    }
    settlement.lookup = LookupChange::Set(Lookup::OwnLink);
    Some(settlement)
}

/// Stores the link of a record that a lost call may have created. Its delete is sent in the
/// next step.
fn found(cx: &Context<'_>, planned: &Planned, shown: &[Written]) -> Option<Settlement> {
    let key = cx.key_of(planned);
    let found = shown.iter().find(|w| w.properties.get(&cx.object.key) == Some(&key))?;
    let mut settlement = release(planned);
    settlement.certainty = Certainty::Certain;
    settlement.link = Link::Set(found.id.clone());
    // The delete was already done: a late call has created the record again.
    if planned.rows.is_empty() {
        settlement.lookup = LookupChange::Set(Lookup::DeleteAgain);
    }
    Some(settlement)
}

/// HubSpot no longer knows the link. If people merged the record, the remaining record may have its
/// key, so it is looked up by the key.
fn unknown(planned: &Planned) -> Settlement {
    let mut settlement = release(planned);
    settlement.link = Link::Drop;
    settlement.certainty = Certainty::Doubtful;
    settlement
}
