//! Plans the batch: settles the records that need no call, and selects the others.

use std::collections::BTreeMap;

use crate::engine::plan::{Need, Planned, input, plan};
use crate::engine::verdict;
use crate::mapping::ObjectKind;
use crate::queue::delivery::settlement::{LookupChange, Settlement};
use crate::queue::model::{Lookup, Record, Stage};
use crate::worker::deliveries::delivery::{Context, Selection};
use crate::worker::deliveries::write::{Isolation, Write, Writing};
use crate::worker::work::StepError;

pub(super) async fn select(
    cx: &Context<'_>,
    records: Vec<Record>,
) -> Result<Selection<Write>, StepError> {
    let terms = cx.terms().await?;
    let Context { worker, object, stage, .. } = *cx;
    let (mut items, mut settled) = (Vec::new(), Vec::new());
    let definitions = worker.portal.definitions.cache().of(&object.sync_type);
    let namespace = worker.settings.namespace.as_deref();
    for record in records {
        let planned = plan(&worker.portal.mapping, object, definitions.as_deref(), record);
        for (_, reason) in &planned.refused {
            worker.portal.definitions.cache().doubt(&object.sync_type, &reason.code);
        }
        match &planned.need {
            Need::Nothing => settled.push(verdict::unchanged(&planned, terms)),
            Need::Missing(_) if planned.record.lookup != Some(Lookup::KeyNotFound) => {
                settled.push(looks(&planned, Lookup::Key(None)));
            }
            Need::Missing(lacking) => {
                let wait = worker.settings.wait_create;
                settled.push(verdict::missing(&planned, lacking, wait, terms));
            }
            Need::Write(properties) => {
                let input = input(object, stage, namespace, &planned.record, properties);
                items.push(Writing { planned, input });
            }
            Need::Clear(property) => {
                let cleared = BTreeMap::from([(property.clone(), String::new())]);
                let input = input(object, stage, namespace, &planned.record, &cleared);
                items.push(Writing { planned, input });
            }
        }
    }
    if stage == Stage::Create && worker.conflicts.read_ahead() {
        let (first, rest): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|work| wants_reading(object, &work.planned));
        settled.extend(first.iter().map(|work| looks(&work.planned, Lookup::EmailFirst)));
        items = rest;
    }
    Ok(Selection { how: Isolation::default(), items, settled })
}

/// Looks the record up before it is written.
fn looks(planned: &Planned, lookup: Lookup) -> Settlement {
    Settlement { lookup: LookupChange::Set(lookup), ..verdict::base(planned) }
}

/// Whether HubSpot may have the record by its e-mail address, and was not asked yet.
fn wants_reading(object: &ObjectKind, planned: &Planned) -> bool {
    let email = object.email_property.as_ref().and_then(|name| planned.folded.properties.get(name));
    matches!(planned.record.lookup, None | Some(Lookup::KeyNotFound))
        && email.is_some_and(|email| !email.value.is_empty())
}
