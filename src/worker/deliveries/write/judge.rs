//! Reads the answer: one verdict for each record, or a refusal of the whole batch.

use serde_json::Value;

use crate::engine::verdict;
use crate::hubspot::batch::{self, Verdict};
use crate::hubspot::{Class, Failure};
use crate::queue::model::Stage;
use crate::worker::deliveries::delivery::{Context, Judged};
use crate::worker::deliveries::settle::unanswered;
use crate::worker::deliveries::write::call::inputs;
use crate::worker::deliveries::write::isolate::divide;
use crate::worker::deliveries::write::{Isolation, Write, Writing};
use crate::worker::work::StepError;

pub(super) async fn judge(
    cx: &Context<'_>,
    how: &mut Isolation,
    items: Vec<Writing>,
    answer: Result<Value, Failure>,
) -> Result<Judged<Write>, StepError> {
    let Context { worker, object, .. } = *cx;
    let key = (cx.stage != Stage::Update).then_some(object.key.as_str());
    let verdicts = match answer {
        Ok(body) => batch::verdicts(&inputs(&items), key, &body),
        // A batch call never gets "not found" because of its inputs. The path is wrong.
        Err(mut failure) if failure.class == Class::NotFound && failure.ids.is_empty() => {
            failure.class = Class::BadRequestWholeBatch;
            vec![Verdict::Refused(failure); items.len()]
        }
        Err(failure) if items.len() > 1 && failure.blames_inputs() => {
            return Ok(Judged::Divided(divide(how, items, &failure)));
        }
        Err(failure) => vec![Verdict::Refused(failure); items.len()],
    };
    let refused = verdicts.iter().filter(|v| matches!(v, Verdict::Refused(_))).count();
    if cx.stage == Stage::Create {
        let conflict =
            |v: &&Verdict| matches!(v, Verdict::Refused(f) if f.class == Class::Conflict);
        worker.conflicts.refused(verdicts.iter().filter(conflict).count(), verdicts.len());
    }
    how.bad += refused;
    let terms = cx.terms().await?;
    let mut settled = Vec::with_capacity(items.len());
    let mut closed = false;
    for (work, verdict) in items.iter().zip(&verdicts) {
        let (planned, sent) = (&work.planned, &work.input.properties);
        settled.push(match verdict {
            Verdict::Written(shown) => verdict::written(planned, sent, shown, terms),
            Verdict::Refused(failure) => {
                worker.portal.definitions.cache().doubt(&object.sync_type, &failure.code);
                closed = closed || cx.close_for(failure, terms.now).await?;
                verdict::failed(planned, sent, failure, terms)
            }
            Verdict::Unanswered => verdict::failed(planned, sent, &unanswered(), terms),
        });
    }
    Ok(Judged::Settled { settled, closed })
}
