//! Deletes of adopted records, which existed in HubSpot before hubferry linked them. A delete
//! removes hubferry's key from the record and leaves the record in HubSpot. An erasure waits for a
//! person to decide, unless the settings say otherwise.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use crate::engine::plan::Planned;
use crate::engine::verdict::{self, Terms, deleted, gone};
use crate::hubspot::Class;
use crate::hubspot::batch::{self, Verdict};
use crate::mapping::{ObjectKind, Operation, Warning};
use crate::queue::delivery::settlement::{RowVerdict, Settlement};
use crate::queue::model::{ADOPTED_RECORD, Reason};
use crate::settings::{OnDelete, OnErase};
use crate::worker::Settings;
use crate::worker::deliveries::delivery::Context;
use crate::worker::deliveries::settle::unread;
use crate::worker::work::StepError;

/// What a delete or an erasure does to the HubSpot record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The record is deleted.
    Goes,
    /// The record existed before hubferry. It stays, without hubferry's key.
    Stays,
    /// The record existed before hubferry, and a person decides.
    Asked,
}

/// Builds the inputs that remove hubferry's key from the records of `items`.
pub(super) fn keyless(object: &ObjectKind, items: &[Planned]) -> Vec<batch::Input> {
    let input = |p: &Planned| batch::Input {
        trace: p.record.id.to_string(),
        id: p.record.hubspot_id.clone().unwrap_or_default(),
        properties: BTreeMap::from([(object.key.clone(), String::new())]),
    };
    items.iter().map(input).collect()
}

/// Decides what a delete or an erasure does to the HubSpot record.
pub(super) fn fate(settings: &Settings, planned: &Planned, erasing: bool) -> Fate {
    let asks = planned.record.rows.iter().any(|row| row.operation == Operation::Erase);
    match (planned.record.adopted, erasing) {
        (false, _) => Fate::Goes,
        (true, true) if planned.record.erase_confirmed || settings.on_erase == OnErase::Erase => {
            Fate::Goes
        }
        (true, true) if asks => Fate::Asked,
        // A late call has written the key again. It is removed again without asking anybody.
        (true, true) => Fate::Stays,
        (true, false) if settings.on_delete == OnDelete::Archive => Fate::Goes,
        (true, false) => Fate::Stays,
    }
}

/// Settles the records whose key was removed. Also returns whether the gate closed.
pub(super) async fn unlinked(
    cx: &Context<'_>,
    items: &[Planned],
    body: &Value,
    terms: Terms<'_>,
) -> Result<(Vec<Settlement>, bool), StepError> {
    let inputs = keyless(cx.object, items);
    let verdicts = batch::verdicts(&inputs.iter().collect::<Vec<_>>(), None, body);
    let (mut settlements, mut closed) = (Vec::with_capacity(items.len()), false);
    for (planned, verdict) in items.iter().zip(verdicts) {
        settlements.push(match verdict {
            Verdict::Written(_) => kept(planned),
            Verdict::Refused(failure) if failure.class == Class::NotFound => gone(planned, false),
            Verdict::Refused(failure) => {
                closed |= cx.close_for(&failure, terms.now).await?;
                verdict::failed(planned, &BTreeMap::new(), &failure, terms)
            }
            Verdict::Unanswered => unread(planned, terms),
        });
    }
    Ok((settlements, closed))
}

/// Settles an adopted record: it stays in HubSpot without a link, and its deletes get a warning.
fn kept(planned: &Planned) -> Settlement {
    let mut settlement = deleted(planned, false);
    let deletes = planned.rows.iter().filter(|row| row.operation != Operation::Upsert);
    let deletes: HashSet<i64> = deletes.map(|row| row.stamp.row).collect();
    let message = "HubSpot had this record before it was adopted: it was unlinked and stays there";
    for (row, verdict) in &mut settlement.rows {
        if deletes.contains(row) {
            let (code, message) = ("adopted_kept".to_owned(), message.to_owned());
            *verdict = RowVerdict::Written(vec![Warning { code, property: None, message }]);
        }
    }
    settlement
}

/// Settles an adopted record whose erasure a person must confirm.
pub(super) fn asked(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let reason = Reason {
        class: "rejected",
        code: ADOPTED_RECORD.into(),
        property: None,
        message: "HubSpot had this record before it was adopted, so nothing was erased".into(),
        hint: Some(
            "confirm the erasure if the record is this person's; else discard the row".into(),
        ),
        correlation_id: None,
        http_status: None,
    };
    let erasures = planned.record.rows.iter().filter(|row| row.operation == Operation::Erase);
    settlement.rows = erasures.map(|row| (row.id, RowVerdict::Failed(reason.clone()))).collect();
    settlement
}
