//! Reads the answer: one verdict for each pair.

use std::collections::BTreeMap;

use rand::Rng as _;
use serde_json::Value;

use crate::engine::verdict::reason;
use crate::hubspot::associate::{self, Verdict};
use crate::hubspot::{Blame, Class, Failure};
use crate::queue::delivery::settlement::Backoff;
use crate::queue::delivery::slots::{OwedSlot, SlotVerdict};
use crate::worker::deliveries::associate::call::pairs;
use crate::worker::deliveries::associate::{Associate, Group, How};
use crate::worker::deliveries::delivery::{Context, Judged};
use crate::worker::deliveries::settle::unanswered;
use crate::worker::work::StepError;

pub(super) async fn judge(
    cx: &Context<'_>,
    how: &mut How,
    items: Vec<OwedSlot>,
    answer: Result<Value, Failure>,
) -> Result<Judged<Associate>, StepError> {
    let settings = &cx.worker.settings;
    let now = cx.worker.now().await?;
    let How { group, failures, settled } = how;
    let mut settled = std::mem::take(settled);
    let pairs = pairs(group, &items);
    let mut closed = false;
    let answers = match answer {
        Ok(body) if group.makes => associate::verdicts(&pairs, &body),
        Ok(body) => associate::dropped(&pairs, &body),
        // It is not known which pair caused the refusal. Smaller calls find out.
        Err(failure) if pairs.len() > 1 && failure.blames_inputs() => {
            settled.backoffs.extend(items.iter().map(|slot| (slot.record_id, Backoff::Smaller)));
            Vec::new()
        }
        Err(failure) => {
            closed = cx.close_for(&failure, now).await?;
            vec![Verdict::Refused(failure); items.len()]
        }
    };
    let rest = Backoff::Pause(now + settings.breaker.rest);
    let delay = |failures| now + settings.retry.delay(failures, rand::rng().random());
    for (slot, answer) in items.into_iter().zip(answers) {
        let verdict = match verdict(group, answer) {
            // The other end still has a write to send, so this is not a failure.
            SlotVerdict::Elsewhere(_) if slot.settling => SlotVerdict::Untried,
            verdict => verdict,
        };
        let backoff = match &verdict {
            // Another record makes the next probe. The failure of this one is not counted.
            SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_) | SlotVerdict::Untried
                if cx.probing =>
            {
                rest
            }
            // The next writes of both ends show what was merged. They need not wait.
            SlotVerdict::Elsewhere(_) if !slot.again => Backoff::Smaller,
            SlotVerdict::Untried if slot.settling => Backoff::Pause(delay(0)),
            SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_) | SlotVerdict::Elsewhere(_) => {
                Backoff::Until(delay(failures.get(&slot.record_id).copied().unwrap_or(0)))
            }
            SlotVerdict::Untried => Backoff::AsBefore,
            SlotVerdict::Made | SlotVerdict::Dropped | SlotVerdict::Refused(_) => Backoff::Reset,
        };
        settled.backoffs.insert(slot.record_id, backoff);
        let no_fault = matches!(verdict, SlotVerdict::Retry(_) | SlotVerdict::Unanswered(_));
        let verdict = if cx.probing && no_fault { SlotVerdict::Untried } else { verdict };
        settled.verdicts.push((slot, verdict));
    }
    Ok(Judged::Settled { settled, closed })
}

fn verdict(group: &Group, answer: Verdict) -> SlotVerdict {
    let failure = match answer {
        Verdict::Done if group.makes => return SlotVerdict::Made,
        Verdict::Done => return SlotVerdict::Dropped,
        Verdict::Unanswered => {
            return SlotVerdict::Unanswered(reason(&unanswered(), &BTreeMap::new()));
        }
        Verdict::Elsewhere => {
            return SlotVerdict::Elsewhere(reason(&unanswered(), &BTreeMap::new()));
        }
        Verdict::Refused(failure) => failure,
    };
    let reason = reason(&failure, &BTreeMap::new());
    match failure.class.blame() {
        Blame::Transient => SlotVerdict::Retry(reason),
        Blame::Throttled | Blame::Misconfigured => SlotVerdict::Untried,
        // A pair that does not exist need not be removed.
        Blame::Rejected if !group.makes && failure.class == Class::NotFound => SlotVerdict::Dropped,
        Blame::Rejected => SlotVerdict::Refused(reason),
    }
}
