//! Archiving and erasing: deletes of the application, carried by HubSpot's id only.

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
    /// Learn the link of what may have been created.
    Find,
    /// See whether the link is still the record's own: people may have merged it into another's.
    Verify,
    /// Put into the recycle bin.
    Archive,
    /// Take our key off a record that HubSpot had before us, and leave it there.
    Unlink,
    /// Erase for good, one record a call.
    Erase,
}

impl Worker {
    /// Delivers a batch that owes a delete, with one call at most: the links of records that may
    /// exist unknown to us, or that may have been merged, are read first, in a step of their own.
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

        // What needs no call, what must be found first, what is to go.
        let (mut settled, mut unsure, mut linked) = (Vec::new(), Vec::new(), Vec::new());
        for planned in planned {
            // What was never linked is asked for all the same: a database that was lost has linked it.
            let looked = planned.record.resolve.as_deref() == Some(NOT_BY_KEY);
            let deleted_before = planned.record.tombstone.is_some() || planned.record.shared;
            let first = !deleted_before && !looked;
            let unknown = erasing || planned.record.doubt != 0 || first;
            match &planned.record.hubspot_id {
                _ if !erasing && stale(&planned) => settled.push(past(&planned)),
                Some(_) if erasing && self.fate(&planned, true) == Fate::Asked => {
                    settled.push(asked(&planned));
                }
                // An alias takes the HubSpot record over.
                Some(_) if !erasing && inherited.contains(&planned.record.id) => {
                    settled.push(passed_on(&planned))
                }
                // Merged with another of ours: its delete never takes the other's record along.
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
                    // What another record is linked to may still show the key of who had it before.
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
            // What is not there is deleted.
            Err(failure) if failure.class == Class::NotFound && group.len() == 1 => {
                group.iter().map(|p| gone(p, erasing)).collect()
            }
            // Somebody's fault, not known whose: smaller batches find out.
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

    /// Who is linked to the records that are `shown`, or to one that was merged into them.
    async fn linked(
        &self,
        object: &ObjectKind,
        shown: &[batch::Written],
    ) -> Result<HashMap<String, String>, QueueError> {
        let mut ids: Vec<String> = shown.iter().flat_map(merged).map(str::to_owned).collect();
        ids.extend(shown.iter().map(|w| w.id.clone()));
        self.queue.linked(&object.sync_type, &ids).await
    }

    /// What the link leads to: the record's own, or that of somebody whom its delete must not touch.
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
            // A merge that was not known: who is merged with whom is noted first.
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
        // Its delete was done before: a call that came late has brought it back.
        if planned.rows.is_empty() {
            settlement.resolve = Some(Some(GO_AGAIN.into()));
        }
        Some(settlement)
    }
}

/// The ids that were merged into a record.
pub(in crate::worker) fn merged(written: &batch::Written) -> impl Iterator<Item = &str> {
    let ids = written.properties.get(MERGED).map_or("", String::as_str);
    ids.split(';').filter(|id| !id.is_empty())
}

/// HubSpot does not know the link any more. If people merged the record, the one that it became may
/// have its key: it is looked for.
fn unknown(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    settlement.link = Some(None);
    settlement.certainty = Certainty::Doubtful;
    settlement
}

/// Whether the link was read for this delete already.
fn verified(planned: &Planned) -> bool {
    matches!(planned.record.resolve.as_deref(), Some(ITS_OWN | GO_AGAIN))
}

/// The reply does not speak of it: whether it is there is not known.
pub(in crate::worker) fn unread(planned: &Planned, terms: verdict::Terms<'_>) -> Settlement {
    verdict::failed(planned, &BTreeMap::new(), &unanswered(), terms)
}

/// Goes again in smaller company.
pub(in crate::worker) fn smaller(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    settlement.backoff = Backoff::Smaller;
    settlement
}

/// Whether every delete that is owed is older than one that was done: the record that stands now is
/// a newer one.
fn stale(planned: &Planned) -> bool {
    let mut deletes =
        planned.rows.iter().filter(|row| row.operation != Operation::Upsert).peekable();
    deletes.peek().is_some()
        && planned.record.tombstone.is_some_and(|done| deletes.all(|row| row.stamp <= done))
}

/// Stale deletes are done without a call.
fn past(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let deletes = planned.rows.iter().filter(|row| row.operation != Operation::Upsert);
    settlement.rows = deletes.map(|row| (row.stamp.row, RowVerdict::Written(Vec::new()))).collect();
    settlement
}

/// The record is gone: what is older than the delete is done, newer values create it again. An
/// erasure leaves nothing to create it from.
pub(in crate::worker) fn deleted(planned: &Planned, erased: bool) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let dead = planned.folded.tombstone.max(planned.record.tombstone);
    // What the events of aliases brought is not the deleted subject's.
    let alias: HashSet<i64> =
        planned.record.rows.iter().filter(|r| r.of_alias.is_some()).map(|r| r.id).collect();
    settlement.link = planned.record.hubspot_id.is_some().then_some(None);
    settlement.certainty = Certainty::Certain;
    // What is newer than the delete comes from its rows once more.
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

/// The same after HubSpot deleted it, or never had it: what was adopted is no more.
pub(in crate::worker) fn gone(planned: &Planned, erased: bool) -> Settlement {
    Settlement { disowns: true, ..deleted(planned, erased) }
}

/// An erasure is absolute, by arrival: what came before it is done, and a delete after it; values that
/// slipped in after it are not.
fn void(planned: &Planned, row: &Row) -> RowVerdict {
    let erasures = planned.record.rows.iter().filter(|r| r.operation == Operation::Erase);
    let before = erasures.map(|r| r.id).max().is_some_and(|erasure| row.id <= erasure);
    if before || row.operation != Operation::Upsert {
        return RowVerdict::Written(Vec::new());
    }
    RowVerdict::Failed(erased("the subject was erased before this event arrived"))
}
