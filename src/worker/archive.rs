//! Archiving and erasing: deletes of the application, carried by HubSpot's id only.

use std::collections::BTreeMap;

use super::Worker;
use super::deliver::Held;
use super::plan::{Planned, plan};
use super::step::{Delivered, StepError, Work};
use super::verdict;
use crate::hubspot::{Call, Class, batch, key::key};
use crate::mapping::{ObjectKind, Operation};
use crate::queue::model::{Reason, Row, Stage};
use crate::queue::settle::{Certainty, RowVerdict, Settlement};

impl Worker {
    /// Delivers a batch that owes a delete. One call: the links of doubtful records are read first,
    /// in a step of its own.
    pub(super) async fn archive(&self, work: Work<'_>) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let planned: Vec<Planned> =
            batch.records.into_iter().map(|r| plan(&self.mapping, object, None, r)).collect();
        let (linked, unlinked): (Vec<_>, Vec<_>) =
            planned.into_iter().partition(|p| p.record.hubspot_id.is_some());
        // An erasure asks HubSpot even if we never linked the record: another installation may have.
        let erasing = batch.stage == Stage::Erase;
        let (unsure, gone): (Vec<_>, Vec<_>) =
            unlinked.into_iter().partition(|p| erasing || p.record.doubt != 0);
        let deleted = |p: &Planned| deleted(p, erasing);
        let settled: Vec<Settlement> = gone.iter().map(deleted).collect();
        self.settle(&held.lease, &settled, None).await?;

        let ready = held.lasts(self.client.timeout()) && permit.lasts(self.client.timeout());
        let (group, call) = match (unsure.is_empty(), linked.is_empty()) {
            _ if !ready => (Vec::new(), None),
            (false, _) => (unsure, Some(Purpose::Find)),
            (true, false) => (linked, Some(Purpose::Delete)),
            (true, true) => (Vec::new(), None),
        };
        let Some(purpose) = call else {
            return Ok(Delivered::without_call(permit));
        };
        // Erasure is one record a call; the others are due again at once.
        let erases = erasing && object.erasable && purpose == Purpose::Delete;
        let group = if erases { group.into_iter().take(1).collect() } else { group };
        let call = self.delete_call(object, &group, purpose, erases);
        let (number, answer) = self.permits.call(permit, call).await;
        let now = self.now().await?;
        let transient = answer.failed();
        let terms = self.terms(object, now, probing);
        let mut closed = false;
        let settlements: Vec<Settlement> = match answer.result {
            Ok(body) if purpose == Purpose::Find => {
                let shown = batch::results(&body);
                let found = |p| self.found(p, object, &shown).unwrap_or_else(|| deleted(p));
                group.iter().map(found).collect()
            }
            Ok(_) => group.iter().map(deleted).collect(),
            // What is not there is deleted.
            Err(failure) if failure.class == Class::NotFound && group.len() == 1 => {
                group.iter().map(deleted).collect()
            }
            Err(failure) => {
                closed = self.close_for(&object.sync_type, &failure, now).await?;
                group
                    .iter()
                    .map(|p| verdict::failed(p, &BTreeMap::new(), &failure, terms))
                    .collect()
            }
        };
        self.settle(&held.lease, &settlements, Some(number)).await?;
        Ok(Delivered { permit: None, calls: 1, closed, transient })
    }

    fn delete_call(
        &self,
        object: &ObjectKind,
        group: &[Planned],
        purpose: Purpose,
        erases: bool,
    ) -> Call {
        let version = self.client.version();
        let ids: Vec<String> = match purpose {
            Purpose::Find => group.iter().map(|p| self.key_of(p)).collect(),
            Purpose::Delete => group.iter().filter_map(|p| p.record.hubspot_id.clone()).collect(),
        };
        let mut call = match purpose {
            Purpose::Find => {
                batch::read(version, &object.plural, Some(&object.key), &ids, &[&object.key])
            }
            Purpose::Delete if erases => {
                let body = serde_json::json!({ "objectId": ids.first() });
                Call::post(
                    version.gdpr_delete(&object.plural),
                    format!("erase {}", object.plural),
                    body,
                    1,
                )
            }
            Purpose::Delete => batch::archive(version, &object.plural, &ids),
        };
        call.sync_type = Some(object.sync_type.clone());
        call
    }

    fn key_of(&self, planned: &Planned) -> String {
        key(self.settings.namespace.as_deref(), &planned.record.external_id)
    }

    /// The link of a record that a lost call may have created; its delete goes with the next step.
    fn found(
        &self,
        planned: &Planned,
        object: &ObjectKind,
        shown: &[batch::Written],
    ) -> Option<Settlement> {
        let key = self.key_of(planned);
        let found = shown.iter().find(|w| w.properties.get(&object.key) == Some(&key))?;
        let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
        settlement.certainty = Certainty::Certain;
        settlement.link = Some(Some(found.id.clone()));
        Some(settlement)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Learn the link of what may have been created.
    Find,
    /// Archive or erase.
    Delete,
}

/// The record is gone: what is older than the delete is done, newer values create it again. An
/// erasure leaves nothing to create it from.
fn deleted(planned: &Planned, erased: bool) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let dead = planned.folded.tombstone;
    let accepted: std::collections::BTreeMap<_, _> = planned
        .record
        .accepted
        .iter()
        .filter(|(_, register)| !erased && dead.is_none_or(|dead| register.stamp > dead))
        .map(|(name, register)| (name.clone(), register.clone()))
        .collect();
    settlement.link = planned.record.hubspot_id.is_some().then_some(None);
    // What was accepted and is newer than the delete has to be written again.
    settlement.certainty =
        if accepted.is_empty() { Certainty::Certain } else { Certainty::Doubtful };
    settlement.accepted = Some(accepted);
    settlement.tombstone = dead;
    settlement.gone = true;
    settlement.erase = erased;
    if erased {
        settlement.rows =
            planned.record.rows.iter().map(|row| (row.id, void(planned, row))).collect();
        return settlement;
    }
    settlement.rows = planned
        .rows
        .iter()
        .filter(|row| row.operation != Operation::Upsert || dead.is_some_and(|d| row.stamp <= d))
        .map(|row| (row.stamp.row, RowVerdict::Written(Vec::new())))
        .collect();
    settlement
}

/// An erasure is absolute, by arrival: what came before it is done, what slipped in after it is not.
fn void(planned: &Planned, row: &Row) -> RowVerdict {
    let erasures = planned.record.rows.iter().filter(|r| r.operation == Operation::Erase);
    if erasures.map(|r| r.id).max().is_some_and(|erasure| row.id <= erasure) {
        return RowVerdict::Written(Vec::new());
    }
    RowVerdict::Failed(Reason {
        class: "rejected",
        code: "SUBJECT_ERASED".into(),
        property: None,
        message: "the subject was erased before this event arrived".into(),
        hint: Some("an admin may allow the subject again; then send the event anew".into()),
        correlation_id: None,
        http_status: None,
    })
}
