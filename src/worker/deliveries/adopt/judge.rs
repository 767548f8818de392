//! Reads the answer: which records HubSpot has, and whose they are.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::verdict::{became, by_key, conflict, elsewhere, made_before, merged_into};
use crate::engine::plan::Planned;
use crate::engine::verdict::{self, Terms};
use crate::hubspot::Failure;
use crate::hubspot::batch::{self, Written};
use crate::queue::delivery::settlement::Settlement;
use crate::queue::model::Lookup;
use crate::worker::deliveries::adopt::{Adopt, By, is, sought};
use crate::worker::deliveries::delivery::{Context, Judged};
use crate::worker::deliveries::settle::{smaller, unread};
use crate::worker::work::StepError;

pub(super) async fn judge(
    cx: &Context<'_>,
    by: By,
    items: &[Planned],
    answer: Result<Value, Failure>,
) -> Result<Judged<Adopt>, StepError> {
    let terms = cx.terms().await?;
    let mut closed = false;
    let settled: Vec<Settlement> = match answer {
        Ok(body) => {
            let (shown, missing) = (batch::results(&body), batch::missing(&body));
            let ids: Vec<String> = shown.iter().map(|w| w.id.clone()).collect();
            let first = |p: &&Planned| p.record.lookup == Some(Lookup::EmailFirst);
            cx.worker.conflicts.found(shown.len(), items.iter().filter(first).count());
            let linked = cx.worker.portal.queue.linked(&cx.object.sync_type, &ids).await?;
            let answer = Answer { by, shown, missing, linked };
            items.iter().map(|planned| one(cx, planned, &answer, terms)).collect()
        }
        Err(failure) if items.len() > 1 && failure.blames_inputs() => {
            items.iter().map(smaller).collect()
        }
        Err(failure) => {
            closed = cx.close_for(&failure, terms.now).await?;
            let failed = |p| verdict::failed(p, &Default::default(), &failure, terms);
            items.iter().map(failed).collect()
        }
    };
    Ok(Judged::Settled { settled, closed })
}

/// What HubSpot has answered.
struct Answer {
    by: By,
    shown: Vec<Written>,
    /// The ids, keys or addresses that HubSpot does not have.
    missing: HashSet<String>,
    /// The external ids that the shown records are linked to, by HubSpot's id.
    linked: HashMap<String, String>,
}

/// Settles one record.
fn one(cx: &Context<'_>, planned: &Planned, answer: &Answer, terms: Terms<'_>) -> Settlement {
    let object = cx.object;
    let wanted = sought(cx, planned, answer.by).unwrap_or_default();
    let found = answer.shown.iter().find(|w| is(w, object, &wanted, answer.by));
    let told = |id: &String| id.eq_ignore_ascii_case(&wanted);
    if found.is_none() && !answer.missing.iter().any(told) {
        return unread(planned, terms);
    }
    if let Some(found) = found.filter(|w| became(planned, w)) {
        return merged_into(planned, found);
    }
    if answer.by == By::Key {
        return by_key(planned, found);
    }
    let key = cx.key_of(planned);
    let bears_ours = |w: &&Written| w.properties.get(&object.key) == Some(&key);
    if let Some(found) = found.filter(bears_ours).filter(|w| elsewhere(planned, w)) {
        return made_before(planned, found);
    }
    let other = found.and_then(|w| other(cx, w, planned, answer.linked.get(&w.id)));
    // The address is the cause if the record was found by it, or has it.
    let ours = sought(cx, planned, By::Email);
    let holds = |w: &Written| ours.as_ref().is_some_and(|ours| is(w, object, ours, By::Email));
    let blamed = object.email_property.as_ref();
    let blamed = blamed.filter(|_| answer.by == By::Email || found.is_some_and(holds));
    conflict(planned, found, other, blamed, terms)
}

/// The other record that is linked to what was found, if there is one.
fn other(
    cx: &Context<'_>,
    found: &Written,
    planned: &Planned,
    linked: Option<&String>,
) -> Option<String> {
    let ours = cx.key_of(planned);
    let theirs =
        found.properties.get(&cx.object.key).filter(|key| !key.is_empty() && **key != ours);
    linked.filter(|id| **id != planned.record.external_id).or(theirs).cloned()
}
