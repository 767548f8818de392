//! Resolves conflicts: another HubSpot record holds a unique value of this record. That HubSpot
//! record is read, and adopted if no other record is linked to it. Otherwise the row fails, and its
//! error names the other record. Records that cannot be created yet are also looked up here by
//! their key, because HubSpot may have them already.
//!
//! hubferry never upserts by e-mail, because that would silently take over a contact that belongs
//! to another external id.

use crate::engine::plan::{Need, Planned, plan};
use crate::engine::verdict::{self, Terms};
use crate::hubspot::batch::{self, MERGED, Written};
use crate::hubspot::{Class, Failure, key::key};
use crate::mapping::ObjectKind;
use crate::queue::delivery::settle::{Certainty, Settlement};
use crate::queue::model::{BY_EMAIL, BY_KEY, NOT_BY_KEY, NOTHING_THERE, READ_AHEAD};
use crate::worker::Worker;
use crate::worker::deliveries::archive::{merged, smaller, unread};
use crate::worker::deliveries::write::Held;
use crate::worker::step::{Delivered, StepError, Work};

/// HubSpot's property for further e-mail addresses of a contact.
const MORE_EMAILS: &str = "hs_additional_emails";

/// What a record is looked up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// The id that HubSpot named.
    Id,
    /// The record's key.
    Key,
    /// The record's e-mail address.
    Email,
}

impl By {
    fn of(planned: &Planned) -> Self {
        match planned.record.resolve.as_deref() {
            Some(mark) if mark.starts_with(BY_KEY) => Self::Key,
            None | Some(BY_EMAIL | READ_AHEAD) => Self::Email,
            Some(_) => Self::Id,
        }
    }

    /// The unique property that HubSpot is asked for.
    fn property(self, object: &ObjectKind) -> Option<&str> {
        match self {
            Self::Id => None,
            Self::Key => Some(&object.key),
            Self::Email => object.email_property.as_deref(),
        }
    }
}

impl Worker {
    /// Looks up records, with one call. Records whose conflicting id HubSpot named come first, then
    /// those that are looked up by key, then those that are looked up by e-mail address.
    pub(in crate::worker) async fn resolve(&self, work: Work<'_>) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let planned: Vec<Planned> =
            batch.records.into_iter().map(|r| plan(&self.mapping, object, None, r)).collect();
        let by = [By::Id, By::Key].into_iter().find(|by| planned.iter().any(|p| By::of(p) == *by));
        let by = by.unwrap_or(By::Email);
        let (group, rest): (Vec<_>, Vec<_>) = planned.into_iter().partition(|p| By::of(p) == by);
        let (group, lost): (Vec<_>, Vec<_>) =
            group.into_iter().partition(|p| self.sought(p, object, by).is_some());
        let released = |p: &Planned| Settlement::release(p.record.id, p.record.doubt);
        let mut settled: Vec<Settlement> = rest.iter().map(released).collect();
        let terms = self.terms(object, self.now().await?, probing);
        settled.extend(lost.iter().map(|p| judge(p, None, None, None, terms)));
        let ready = held.lasts(&permit);
        if !ready {
            settled.extend(group.iter().map(released));
        }
        self.settle(&held.lease, &settled, None).await?;
        if group.is_empty() || !ready {
            return Ok(Delivered::without_call(permit));
        }
        let mut ids: Vec<String> =
            group.iter().filter_map(|p| self.sought(p, object, by)).collect();
        ids.sort();
        ids.dedup();
        let mut properties = vec![object.key.as_str(), MERGED];
        if let Some(email) = object.email_property.as_deref().filter(|_| by != By::Key) {
            properties.extend([email, MORE_EMAILS]);
        }
        let property = by.property(object);
        let mut call =
            batch::read(self.client.version(), &object.plural, property, &ids, &properties);
        call.sync_type = Some(object.sync_type.clone());
        let (number, answer) = self.permits.call(permit, call).await;
        let now = self.now().await?;
        let transient = answer.failed();
        let terms = self.terms(object, now, probing);
        let mut closed = false;
        let mut settlements = Vec::with_capacity(group.len());
        match answer.result {
            Ok(body) => {
                let (shown, missing) = (batch::results(&body), batch::missing(&body));
                let ids: Vec<String> = shown.iter().map(|w| w.id.clone()).collect();
                let ahead = |p: &&Planned| p.record.resolve.as_deref() == Some(READ_AHEAD);
                self.conflicts.found(shown.len(), group.iter().filter(ahead).count());
                let linked = self.queue.linked(&object.sync_type, &ids).await?;
                for planned in &group {
                    let wanted = self.sought(planned, object, by).unwrap_or_default();
                    let found = shown.iter().find(|w| is(w, object, &wanted, by));
                    let told = |id: &String| id.eq_ignore_ascii_case(&wanted);
                    if found.is_none() && !missing.iter().any(told) {
                        settlements.push(unread(planned, terms));
                        continue;
                    }
                    if let Some(found) = found.filter(|w| became(planned, w)) {
                        settlements.push(merged_into(planned, found));
                        continue;
                    }
                    if by == By::Key {
                        settlements.push(by_key(planned, found));
                        continue;
                    }
                    let key = self.key_of(planned);
                    let bears_ours = |w: &&Written| w.properties.get(&object.key) == Some(&key);
                    if let Some(found) = found.filter(bears_ours).filter(|w| elsewhere(planned, w))
                    {
                        settlements.push(made_before(planned, found));
                        continue;
                    }
                    let other =
                        found.and_then(|w| self.other(w, object, planned, linked.get(&w.id)));
                    // The address is the cause if the record was found by it, or has it.
                    let ours = self.sought(planned, object, By::Email);
                    let holds = |w: &Written| {
                        ours.as_ref().is_some_and(|ours| is(w, object, ours, By::Email))
                    };
                    let blamed = object.email_property.as_ref();
                    let blamed = blamed.filter(|_| by == By::Email || found.is_some_and(holds));
                    settlements.push(judge(planned, found, other, blamed, terms));
                }
            }
            Err(failure) if group.len() > 1 && failure.blames_inputs() => {
                settlements.extend(group.iter().map(smaller));
            }
            Err(failure) => {
                closed = self.close_for(&object.sync_type, &failure, now).await?;
                let failed = |p| verdict::failed(p, &Default::default(), &failure, terms);
                settlements.extend(group.iter().map(failed));
            }
        }
        self.settle(&held.lease, &settlements, Some(number)).await?;
        Ok(Delivered { permit: None, calls: 1, closed, transient })
    }

    /// The value that the record is looked up by.
    fn sought(&self, planned: &Planned, object: &ObjectKind, by: By) -> Option<String> {
        match by {
            By::Id => named_id(planned).map(str::to_owned),
            By::Key => Some(self.key_of(planned)),
            By::Email => {
                let email = planned.folded.properties.get(object.email_property.as_ref()?)?;
                Some(email.value.to_lowercase()).filter(|email| !email.is_empty())
            }
        }
    }

    /// The other record that is linked to what was found, if there is one.
    fn other(
        &self,
        found: &Written,
        object: &ObjectKind,
        planned: &Planned,
        linked: Option<&String>,
    ) -> Option<String> {
        let ours = key(self.settings.namespace.as_deref(), &planned.record.external_id);
        let theirs =
            found.properties.get(&object.key).filter(|key| !key.is_empty() && **key != ours);
        linked.filter(|id| **id != planned.record.external_id).or(theirs).cloned()
    }
}

/// The id that HubSpot named.
fn named_id(planned: &Planned) -> Option<&str> {
    planned.record.resolve.as_deref().filter(|_| By::of(planned) == By::Id)
}

/// Whether HubSpot's record is the one that was looked up. A merge gives a record another id, and a
/// contact that is found by a further address shows its first address.
fn is(found: &Written, object: &ObjectKind, wanted: &str, by: By) -> bool {
    let list = |name: &str| found.properties.get(name).cloned().unwrap_or_default();
    match by {
        By::Id => found.id == wanted || merged(found).any(|id| id == wanted),
        By::Key => list(&object.key) == wanted,
        By::Email => {
            let email = object.email_property.as_ref().map(|name| list(name)).unwrap_or_default();
            let more = list(MORE_EMAILS);
            std::iter::once(email.as_str())
                .chain(more.split(';'))
                .any(|e| e.eq_ignore_ascii_case(wanted))
        }
    }
}

/// Whether `found` is what the record's own HubSpot record became when people merged it. HubSpot
/// may no longer know the old id, and the record may have lost its link because of that.
fn became(planned: &Planned, found: &Written) -> bool {
    let links = [&planned.record.hubspot_id, &planned.record.lost_link];
    links.into_iter().flatten().any(|link| merged(found).any(|id| id == link))
}

/// Settles a merge that a conflict revealed. Records that are linked to the merged HubSpot record,
/// or to another one that was merged into it, become one with this record.
fn merged_into(planned: &Planned, found: &Written) -> Settlement {
    let mut settlement = verdict::base(planned);
    settlement.resolve = Some(None);
    settlement.link = Some(Some(found.id.clone()));
    settlement.relinks = true;
    settlement.absorbs = merged(found).map(str::to_owned).collect();
    settlement.certainty = Certainty::Doubtful;
    settlement
}

/// The row that causes an adoption: the row that supplied the address, otherwise the newest row.
fn adopter(planned: &Planned, object: &ObjectKind) -> i64 {
    let email = object.email_property.as_ref().and_then(|e| planned.folded.properties.get(e));
    let newest = || planned.folded.properties.values().map(|register| register.stamp).max();
    email.map(|register| register.stamp).or_else(newest).map_or(0, |stamp| stamp.row)
}

/// Settles a record that was looked up by its key: it cannot be created yet, or a lost call may
/// have created it. If HubSpot has it, it is sent as an update. Otherwise it waits, or the record
/// that it conflicts with is looked up next. If another record is linked to the HubSpot record that
/// has its key, people merged the two.
fn by_key(planned: &Planned, found: Option<&Written>) -> Settlement {
    let mut settlement = verdict::base(planned);
    match found {
        Some(found) => {
            settlement.resolve = Some(None);
            settlement.link = Some(Some(found.id.clone()));
            settlement.relinks = true;
        }
        None if matches!(planned.need, Need::Write(_)) => {
            // The id that HubSpot named. If there is none, the e-mail address is used.
            let then = planned.record.resolve.as_deref().and_then(|r| r.strip_prefix(BY_KEY));
            settlement.resolve = Some(Some(then.unwrap_or_default().into()));
        }
        None => settlement.resolve = Some(Some(NOT_BY_KEY.into())),
    }
    settlement
}

/// Whether the record is linked to a HubSpot record other than this one.
fn elsewhere(planned: &Planned, found: &Written) -> bool {
    planned.record.hubspot_id.as_ref().is_some_and(|link| *link != found.id)
}

/// A HubSpot record with this record's key belongs to it, and only one record can have the key. A
/// lost call had created it before the address led to another HubSpot record, which its owner
/// keeps.
fn made_before(planned: &Planned, found: &Written) -> Settlement {
    let mut settlement = by_key(planned, Some(found));
    settlement.certainty = Certainty::Doubtful;
    settlement.disowns = true;
    settlement
}

fn judge(
    planned: &Planned,
    found: Option<&Written>,
    other: Option<String>,
    blamed: Option<&String>,
    terms: Terms<'_>,
) -> Settlement {
    let mut settlement = verdict::base(planned);
    if found.is_none() && planned.record.resolve.as_deref() == Some(READ_AHEAD) {
        settlement.resolve = Some(Some(NOTHING_THERE.into()));
        return settlement;
    }
    let link = planned.record.hubspot_id.as_ref();
    if link.is_some() && (blamed.is_none() || found.is_none_or(|w| Some(&w.id) == link)) {
        // The address has changed since, or no HubSpot record shows it. The record is sent once
        // more, and is not looked up again.
        settlement.resolve = Some(Some(NOTHING_THERE.into()));
        return settlement;
    }
    settlement.resolve = Some(None);
    let message = match (found, other) {
        (Some(found), None) if link.is_some() => {
            format!("HubSpot record {} holds the same unique value", found.id)
        }
        (Some(found), None) => {
            // In doubt but linked: all owned properties are sent to it, the key first.
            settlement.link = Some(Some(found.id.clone()));
            settlement.adopts = true;
            // If the HubSpot record already has this key, it was linked before the link was lost.
            let ours = found.properties.get(&terms.object.key).is_some_and(|key| !key.is_empty());
            settlement.adopted_by = (!ours).then(|| adopter(planned, terms.object));
            settlement.certainty = Certainty::Doubtful;
            return settlement;
        }
        (Some(found), Some(other)) => format!(
            "HubSpot record {} holds the same unique value and is linked to `{other}`",
            found.id
        ),
        (None, _) => match named_id(planned) {
            Some(id) => {
                format!("HubSpot record {id} holds the value, but is archived or out of reach")
            }
            None => {
                "HubSpot says that the value is taken, and shows no record that holds it".into()
            }
        },
    };
    let mut failure = Failure::lost("CONFLICT", message, false);
    failure.class = Class::Conflict;
    failure.property = blamed.cloned();
    failure.existing_id = found.map(|w| w.id.clone());
    failure.hint = Some(match found {
        Some(_) => {
            "correct the value of one of the two in the application, or merge the two in HubSpot"
                .into()
        }
        None => "restore that record from HubSpot's recycle bin or delete it for good, then retry"
            .into(),
    });
    let reason = verdict::reason(&failure, &Default::default());
    verdict::rejected(&mut settlement, planned, &failure, reason, terms);
    settlement
}
