//! Archives and erases records when the application deletes them. Calls use only HubSpot's id.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::engine::plan::{Planned, erased, plan};
use crate::engine::verdict;
use crate::hubspot::batch::{MERGED, Write};
use crate::hubspot::{Call, Class, batch, key::key};
use crate::mapping::{ObjectKind, Operation};
use crate::queue::QueueError;
use crate::queue::delivery::settle::{Backoff, Certainty, RowVerdict, Settlement};
use crate::queue::model::{Accepted, GO_AGAIN, ITS_OWN, NOT_BY_KEY, Row, Stage};
use crate::worker::Worker;
use crate::worker::deliveries::adopted::{Fate, asked};
use crate::worker::deliveries::write::{Held, unanswered};
use crate::worker::step::{Delivered, StepError, Work};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// Read the link of a record that a lost call may have created.
    Find,
    /// Check that the link still leads to this record. People may have merged it into another one.
    Verify,
    /// Move the record to HubSpot's recycle bin.
    Archive,
    /// Remove hubferry's key from an adopted record, and leave the record in HubSpot.
    Unlink,
    /// Erase the record permanently, one record a call.
    Erase,
}

impl Worker {
    /// Delivers a batch of records that owe a delete, with at most one call. Links that are
    /// unknown, or that a merge may have changed, are read first, in a step of their own.
    pub(in crate::worker) async fn archive(&self, work: Work<'_>) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let erasing = batch.stage == Stage::Erase;
        let planned: Vec<Planned> =
            batch.records.into_iter().map(|r| plan(&self.mapping, object, None, r)).collect();
        let ids: Vec<i64> = planned.iter().map(|p| p.record.id).collect();
        let shared = self.queue.shared_links(&ids).await?;
        let inherited = self.queue.with_living_aliases(&ids).await?;
        let passed_on = |p: &Planned| Settlement { promotes: true, ..deleted(p, false) };

        // Records that need no call, records that must be read first, records that are to be
        // deleted.
        let (mut settled, mut unsure, mut linked) = (Vec::new(), Vec::new(), Vec::new());
        for planned in planned {
            // A record without a link is looked up too, because a lost database may have linked it.
            let looked = planned.record.resolve.as_deref() == Some(NOT_BY_KEY);
            let deleted_before = planned.record.tombstone.is_some() || planned.record.shared;
            let first = !deleted_before && !looked;
            let unknown = erasing || planned.record.doubt != 0 || first;
            match &planned.record.hubspot_id {
                _ if !erasing && stale(&planned) => settled.push(past(&planned)),
                Some(_) if erasing && self.fate(&planned, true) == Fate::Asked => {
                    settled.push(asked(&planned));
                }
                // An alias takes over the HubSpot record.
                Some(_) if !erasing && inherited.contains(&planned.record.id) => {
                    settled.push(passed_on(&planned))
                }
                // Another record shares this HubSpot record after a merge. The delete must not
                // remove it.
                Some(_) if !erasing && shared.contains(&planned.record.id) => {
                    settled.push(deleted(&planned, erasing))
                }
                Some(_) => linked.push(planned),
                None if unknown => unsure.push(planned),
                None => settled.push(deleted(&planned, erasing)),
            }
        }
        let (verified, unverified): (Vec<_>, Vec<_>) =
            linked.into_iter().partition(|p| erasing || verified(p));
        let (purpose, mut group, mut rest) = if !unsure.is_empty() {
            (Purpose::Find, unsure, verified.into_iter().chain(unverified).collect())
        } else if !unverified.is_empty() {
            (Purpose::Verify, unverified, verified)
        } else {
            let (stay, go): (Vec<_>, Vec<_>) =
                verified.into_iter().partition(|p| self.fate(p, erasing) == Fate::Stays);
            match (stay.is_empty(), erasing && object.erasable) {
                (false, _) => (Purpose::Unlink, stay, go),
                (true, true) => (Purpose::Erase, go, Vec::new()),
                (true, false) => (Purpose::Archive, go, Vec::new()),
            }
        };
        if purpose == Purpose::Erase {
            rest.extend(group.split_off(group.len().min(1)));
        }
        if !held.lasts(&permit) {
            rest.append(&mut group);
        }
        settled.extend(rest.iter().map(|p| Settlement::release(p.record.id, p.record.doubt)));
        self.settle(&held.lease, &settled, None).await?;
        if group.is_empty() {
            return Ok(Delivered::without_call(permit));
        }

        let call = self.delete_call(object, &group, purpose);
        let (number, answer) = self.permits.call(permit, call).await;
        let now = self.now().await?;
        let transient = answer.failed();
        let terms = self.terms(object, now, probing);
        let mut closed = false;
        let settlements: Vec<Settlement> = match answer.result {
            Ok(body) if purpose == Purpose::Find => {
                let (shown, missing) = (batch::results(&body), batch::missing(&body));
                let linked = self.linked(object, &shown).await?;
                let found = |p: &Planned| {
                    let not_there = || {
                        if !erasing && inherited.contains(&p.record.id) {
                            return passed_on(p);
                        }
                        deleted(p, erasing)
                    };
                    // A record that is linked elsewhere may still show the key of its previous
                    // owner.
                    let key = self.key_of(p);
                    let others = shown.iter().any(|w| {
                        w.properties.get(&object.key) == Some(&key)
                            && linked.get(&w.id).is_some_and(|id| *id != p.record.external_id)
                    });
                    if others || missing.contains(&key) {
                        return not_there();
                    }
                    self.found(p, object, &shown).unwrap_or_else(|| unread(p, terms))
                };
                group.iter().map(found).collect()
            }
            Ok(body) if purpose == Purpose::Verify => {
                let (shown, missing) = (batch::results(&body), batch::missing(&body));
                let linked = self.linked(object, &shown).await?;
                let verify = |p: &Planned| {
                    let link = p.record.hubspot_id.as_ref();
                    let gone = || link.is_some_and(|id| missing.contains(id)).then(|| unknown(p));
                    let verified = self.verify(p, object, &shown, &linked);
                    verified.or_else(gone).unwrap_or_else(|| unread(p, terms))
                };
                group.iter().map(verify).collect()
            }
            Ok(body) if purpose == Purpose::Unlink => {
                let (settlements, shut) = self.unlinked(object, &group, &body, terms).await?;
                closed = shut;
                settlements
            }
            Ok(_) => group.iter().map(|p| gone(p, erasing)).collect(),
            // A record that HubSpot does not have counts as deleted.
            Err(failure) if failure.class == Class::NotFound && group.len() == 1 => {
                group.iter().map(|p| gone(p, erasing)).collect()
            }
            // It is not known which record caused the refusal. Smaller batches find out.
            Err(failure) if group.len() > 1 && failure.blames_inputs() => {
                group.iter().map(smaller).collect()
            }
            Err(failure) => {
                closed = self.close_for(&object.sync_type, &failure, now).await?;
                let sent = BTreeMap::new();
                group.iter().map(|p| verdict::failed(p, &sent, &failure, terms)).collect()
            }
        };
        self.settle(&held.lease, &settlements, Some(number)).await?;
        Ok(Delivered { permit: None, calls: 1, closed, transient })
    }

    fn delete_call(&self, object: &ObjectKind, group: &[Planned], purpose: Purpose) -> Call {
        let (version, plural) = (self.client.version(), &object.plural);
        let links: Vec<String> = group.iter().filter_map(|p| p.record.hubspot_id.clone()).collect();
        let mut call = match purpose {
            Purpose::Find => {
                let keys: Vec<String> = group.iter().map(|p| self.key_of(p)).collect();
                batch::read(version, plural, Some(&object.key), &keys, &[&object.key])
            }
            Purpose::Verify => batch::read(version, plural, None, &links, &[&object.key, MERGED]),
            Purpose::Archive => batch::archive(version, plural, &links),
            Purpose::Unlink => {
                batch::write(version, plural, Write::Update, &self.keyless(object, group))
            }
            Purpose::Erase => {
                let body = serde_json::json!({ "objectId": links.first() });
                Call::post(version.gdpr_delete(plural), format!("erase {plural}"), body, 1)
            }
        };
        call.sync_type = Some(object.sync_type.clone());
        call
    }

    pub(in crate::worker) fn key_of(&self, planned: &Planned) -> String {
        key(self.settings.namespace.as_deref(), &planned.record.external_id)
    }

    /// The records that are linked to the HubSpot records `shown`, or to records merged into them.
    async fn linked(
        &self,
        object: &ObjectKind,
        shown: &[batch::Written],
    ) -> Result<HashMap<String, String>, QueueError> {
        let mut ids: Vec<String> = shown.iter().flat_map(merged).map(str::to_owned).collect();
        ids.extend(shown.iter().map(|w| w.id.clone()));
        self.queue.linked(&object.sync_type, &ids).await
    }

    /// Decides whose HubSpot record the link leads to: this record's own, or another record's,
    /// which the delete must not remove.
    fn verify(
        &self,
        planned: &Planned,
        object: &ObjectKind,
        shown: &[batch::Written],
        linked: &HashMap<String, String>,
    ) -> Option<Settlement> {
        let link = planned.record.hubspot_id.as_deref().unwrap_or_default();
        let found = shown.iter().find(|w| w.id == link || merged(w).any(|id| id == link))?;
        let others = |id: &str| linked.get(id).is_some_and(|o| *o != planned.record.external_id);
        if others(&found.id) || merged(found).any(others) {
            // This merge was not known yet. It is stored before anything is deleted.
            let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
            settlement.link = (found.id != link).then(|| Some(found.id.clone()));
            settlement.relinks = true;
            settlement.absorbs = merged(found).map(str::to_owned).collect();
            return Some(settlement);
        }
        let key = found.properties.get(&object.key).map_or("", String::as_str);
        if found.id != link && !key.is_empty() && key != self.key_of(planned) {
            return Some(deleted(planned, false));
        }
        let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
        settlement.link = (found.id != link).then(|| Some(found.id.clone()));
        settlement.resolve = Some(Some(ITS_OWN.into()));
        Some(settlement)
    }

    /// Stores the link of a record that a lost call may have created. Its delete is sent in the
    /// next step.
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
        // The delete was already done: a late call has created the record again.
        if planned.rows.is_empty() {
            settlement.resolve = Some(Some(GO_AGAIN.into()));
        }
        Some(settlement)
    }
}

/// The ids of the HubSpot records that were merged into a record.
pub(in crate::worker) fn merged(written: &batch::Written) -> impl Iterator<Item = &str> {
    let ids = written.properties.get(MERGED).map_or("", String::as_str);
    ids.split(';').filter(|id| !id.is_empty())
}

/// HubSpot no longer knows the link. If people merged the record, the remaining record may have its
/// key, so it is looked up by the key.
fn unknown(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    settlement.link = Some(None);
    settlement.certainty = Certainty::Doubtful;
    settlement
}

/// Whether the link was already read for this delete.
fn verified(planned: &Planned) -> bool {
    matches!(planned.record.resolve.as_deref(), Some(ITS_OWN | GO_AGAIN))
}

/// The reply does not mention the record, so it is not known whether HubSpot has it.
pub(in crate::worker) fn unread(planned: &Planned, terms: verdict::Terms<'_>) -> Settlement {
    verdict::failed(planned, &BTreeMap::new(), &unanswered(), terms)
}

/// Retries the record at once in a smaller batch, because one record of the batch was refused.
pub(in crate::worker) fn smaller(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    settlement.backoff = Backoff::Smaller;
    settlement
}

/// Whether every owed delete is older than a delete that was done. Then the record in HubSpot is
/// newer than the owed deletes.
fn stale(planned: &Planned) -> bool {
    let mut deletes =
        planned.rows.iter().filter(|row| row.operation != Operation::Upsert).peekable();
    deletes.peek().is_some()
        && planned.record.tombstone.is_some_and(|done| deletes.all(|row| row.stamp <= done))
}

/// Settles stale deletes without a call.
fn past(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let deletes = planned.rows.iter().filter(|row| row.operation != Operation::Upsert);
    settlement.rows = deletes.map(|row| (row.stamp.row, RowVerdict::Written(Vec::new()))).collect();
    settlement
}

/// Settles a deleted record. Rows older than the delete are done, and newer values create the
/// record again. After an erasure nothing is left to create it from.
pub(in crate::worker) fn deleted(planned: &Planned, erased: bool) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let dead = planned.folded.tombstone.max(planned.record.tombstone);
    // The values that aliases supplied do not belong to the deleted subject.
    let alias: HashSet<i64> =
        planned.record.rows.iter().filter(|r| r.of_alias.is_some()).map(|r| r.id).collect();
    settlement.link = planned.record.hubspot_id.is_some().then_some(None);
    settlement.certainty = Certainty::Certain;
    // Values newer than the delete are taken from their rows again.
    settlement.accepted = Some(Accepted::new());
    settlement.tombstone = dead;
    settlement.backoff = Backoff::Reset;
    settlement.gone = true;
    settlement.erase = erased;
    settlement.rows = if erased {
        let own = planned.record.rows.iter().filter(|row| !alias.contains(&row.id));
        own.map(|row| (row.id, void(planned, row))).collect()
    } else {
        let dead_row = |row: &crate::engine::fold::MappedRow| {
            !alias.contains(&row.stamp.row)
                && (row.operation != Operation::Upsert || dead.is_some_and(|d| row.stamp <= d))
        };
        let rows = planned.rows.iter().filter(|row| dead_row(row));
        rows.map(|row| (row.stamp.row, RowVerdict::Written(Vec::new()))).collect()
    };
    settlement
}

/// The same, if HubSpot itself deleted the record or never had it: the adoption ends too.
pub(in crate::worker) fn gone(planned: &Planned, erased: bool) -> Settlement {
    Settlement { disowns: true, ..deleted(planned, erased) }
}

/// The verdict on a row of an erased record. An erasure voids all rows that arrived before it, and
/// a delete that arrived after it. Values that arrived after it are not void.
fn void(planned: &Planned, row: &Row) -> RowVerdict {
    let erasures = planned.record.rows.iter().filter(|r| r.operation == Operation::Erase);
    let before = erasures.map(|r| r.id).max().is_some_and(|erasure| row.id <= erasure);
    if before || row.operation != Operation::Upsert {
        return RowVerdict::Written(Vec::new());
    }
    RowVerdict::Failed(erased("the subject was erased before this event arrived"))
}
