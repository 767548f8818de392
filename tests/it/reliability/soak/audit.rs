//! The audit at the end: every row accounted for, and HubSpot as the events say, no more, no less.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hubferry::mapping::{Mapping, ObjectKind};
use hubferry::queue::Queue;
use hubspot_sandbox::{ObjectView, Sandbox};
use serde_json::Value;

use super::model::{Expected, Key, Told, change, creatable, erasure, last_words, time};

/// An end of an association: HubSpot's plural and the key.
type End = (String, String);

/// Compares everything and fails with all that is wrong. Answers how much there was.
pub async fn audit(
    queue: &Queue,
    sandbox: &Sandbox,
    mapping: &Mapping,
    accepted: &BTreeMap<String, Value>,
    limit: usize,
) -> String {
    let mut told = told(queue, mapping, accepted).await;
    // Two that people made one: the survivor has the last word of both.
    let aliases = aliases(queue).await;
    for (alias, survivor) in &aliases {
        let rows = told.remove(alias).unwrap_or_default();
        told.entry(survivor.clone()).or_default().extend(rows);
    }
    let mut audit = Audit {
        queue,
        sandbox,
        limit,
        mapping,
        told,
        aliases,
        held: BTreeMap::new(),
        faults: Vec::new(),
    };
    let merged = audit.aliases.len();
    let failed = audit.rows();
    let expected = audit.expected();
    audit.records(&expected);
    let pairs = audit.associations(&expected);
    audit.at_rest(&expected).await;
    let n = audit.faults.len();
    audit.faults.truncate(25);
    assert!(n == 0, "{n} faults, the first of them:\n{}", audit.faults.join("\n"));
    let records = expected.len();
    format!("{records} records, {merged} merged, {pairs} associations, failed rows: {failed:?}")
}

/// Every row with its event, by record. Fails when a row is missing or one too many.
async fn told(
    queue: &Queue,
    mapping: &Mapping,
    accepted: &BTreeMap<String, Value>,
) -> BTreeMap<Key, Vec<Told>> {
    type Row = (i64, String, String, Option<String>, Option<String>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT id, event_id, status, error_code, error_property, error_message
         FROM sync_queue_view ORDER BY id",
    )
    .fetch_all(queue.pool())
    .await
    .unwrap();
    assert_eq!(rows.len(), accepted.len(), "one row an accepted event");
    let mut told: BTreeMap<Key, Vec<Told>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (id, event_id, status, code, property, message) in rows {
        let event = accepted.get(&event_id).expect("a row of an accepted event");
        assert!(["synced", "failed"].contains(&status.as_str()), "{event_id} is {status}");
        assert!(seen.insert(event_id), "two rows of one event");
        let change = change(mapping, event);
        let key = (change.sync_type.clone(), change.external_id.clone());
        let failed = status == "failed";
        let stamp = (time(event), id);
        let subject = key.clone();
        let row = Told { subject, stamp, change, failed, code, property, message };
        told.entry(key).or_default().push(row);
    }
    told
}

/// Records that were merged in HubSpot, and into which of ours.
async fn aliases(queue: &Queue) -> BTreeMap<Key, Key> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT a.sync_type, a.external_id, s.external_id
         FROM crm_record a JOIN crm_record s ON s.id = a.alias_of",
    )
    .fetch_all(queue.pool())
    .await
    .unwrap();
    let pair = |(kind, alias, survivor): (String, String, String)| {
        ((kind.clone(), alias), (kind, survivor))
    };
    rows.into_iter().map(pair).collect()
}

struct Audit<'a> {
    queue: &'a Queue,
    sandbox: &'a Sandbox,
    /// Calls in ten seconds.
    limit: usize,
    mapping: &'a Mapping,
    told: BTreeMap<Key, Vec<Told>>,
    aliases: BTreeMap<Key, Key>,
    /// HubSpot's records of ours.
    held: BTreeMap<Key, ObjectView>,
    faults: Vec<String>,
}

impl Audit<'_> {
    fn object(&self, sync_type: &str) -> ObjectKind {
        self.mapping.object(sync_type).expect("a kind").clone()
    }

    /// A row fails only for what the script planted, and says so.
    fn rows(&mut self) -> BTreeMap<String, usize> {
        let contacts = self.sandbox.objects("contacts");
        let mut holders: HashMap<String, BTreeSet<String>> = HashMap::new();
        for contact in &contacts {
            let key = contact.properties.get("hubferry_id").cloned().unwrap_or_default();
            for name in ["email", "hs_additional_emails"] {
                let addresses = contact.properties.get(name).cloned().unwrap_or_default();
                for address in addresses.split(';').filter(|a| !a.is_empty()) {
                    holders.entry(address.to_lowercase()).or_default().insert(key.clone());
                }
            }
        }
        let mut codes: BTreeMap<String, usize> = BTreeMap::new();
        for ((sync_type, id), rows) in &self.told {
            let object = self.mapping.object(sync_type).expect("a kind");
            let erased = erasure(rows.iter());
            for row in rows.iter().filter(|row| row.failed) {
                let code = row.code.as_deref().unwrap_or_default();
                *codes.entry(code.to_owned()).or_default() += 1;
                let of = |name: &str| row.change.properties.get(name).cloned().unwrap_or_default();
                let honest = match (code, row.property.as_deref()) {
                    // What it failed for went with the rest.
                    _ if erased.is_some_and(|erased| row.stamp.1 < erased) => true,
                    ("MISSING_ON_CREATE", _) => {
                        let code =
                            |t: &&Told| !t.failed || t.code.as_deref() == Some("MISSING_ON_CREATE");
                        let whole = last_words(self.mapping, rows.iter().filter(code));
                        whole.is_some_and(|whole| !creatable(object, &whole))
                    }
                    (_, Some("deal_currency_code")) => of("deal_currency_code") == "GBP",
                    (_, Some("email")) => holders
                        .get(&of("email").to_lowercase())
                        .is_some_and(|holders| holders.iter().any(|holder| holder != id)),
                    _ => false,
                };
                let explained = row.message.as_ref().is_some_and(|m| !m.is_empty());
                if !honest || !explained || code.is_empty() {
                    self.faults.push(format!(
                        "{sync_type} {id}: row {} failed with {code} of {:?}: {:?}",
                        row.stamp.1, row.property, row.message
                    ));
                }
            }
        }
        codes
    }

    /// What must stand in HubSpot.
    fn expected(&mut self) -> BTreeMap<Key, Expected> {
        let mut all = BTreeMap::new();
        for (key, rows) in &self.told {
            let Some(expected) = last_words(self.mapping, rows.iter().filter(|row| !row.failed))
            else {
                continue;
            };
            if creatable(&self.object(&key.0), &expected) {
                all.insert(key.clone(), expected);
            } else {
                let fault = format!("{} {}: synced, but HubSpot cannot hold it", key.0, key.1);
                self.faults.push(fault);
            }
        }
        all
    }

    /// One record each, and every property of ours equal.
    fn records(&mut self, expected: &BTreeMap<Key, Expected>) {
        for object in self.mapping.objects() {
            for record in self.sandbox.objects(&object.plural) {
                let Some(id) = record.properties.get(&object.key).cloned() else { continue };
                let key = (object.sync_type.clone(), id);
                if !expected.contains_key(&key) {
                    self.faults.push(format!("{key:?} stands in HubSpot and should not"));
                }
                if self.held.insert(key.clone(), record).is_some() {
                    self.faults.push(format!("{key:?} stands twice in HubSpot"));
                }
            }
        }
        for (key, expected) in expected {
            let Some(record) = self.held.get(key) else {
                self.faults.push(format!("{key:?} is not in HubSpot"));
                continue;
            };
            for (name, value) in &expected.properties {
                let held = record.properties.get(name).map_or("", String::as_str);
                let same = match name.as_str() {
                    "email" => held.eq_ignore_ascii_case(value),
                    // A day begins with its first moment in the account's zone, which is UTC here.
                    "closedate" => held == value || held == format!("{value}T00:00:00.000Z"),
                    _ => held == value,
                };
                if !same {
                    self.faults.push(format!("{key:?}: {name} is `{held}`, not `{value}`"));
                }
            }
        }
    }

    /// The pairs of records of ours that are joined are those of the slots whose two ends stand.
    fn associations(&mut self, expected: &BTreeMap<Key, Expected>) -> usize {
        let mut wanted: BTreeSet<(End, End, u32)> = BTreeSet::new();
        for ((sync_type, id), record) in expected {
            let object = self.object(sync_type);
            for (slot, target) in &record.slots {
                let slot = object.slot(slot).expect("a slot");
                let target = (slot.target.clone(), target.clone());
                let target = self.aliases.get(&target).unwrap_or(&target);
                if expected.contains_key(target) {
                    let far = (self.object(&slot.target).plural, target.1.clone());
                    wanted.insert(((object.plural.clone(), id.clone()), far, slot.type_id));
                }
            }
        }
        let plural = |sync_type: &str| self.object(sync_type).plural;
        let ours: HashMap<End, String> = self
            .held
            .iter()
            .map(|((kind, id), record)| ((plural(kind), record.id.clone()), id.clone()))
            .collect();
        let slots: BTreeSet<u32> =
            self.mapping.objects().iter().flat_map(|o| &o.slots).map(|s| s.type_id).collect();
        let mut made = BTreeSet::new();
        let mut joined = BTreeSet::new();
        for pair in self.sandbox.associations() {
            let near = ours.get(&(pair.from_type.clone(), pair.from_id));
            let far = ours.get(&(pair.to_type.clone(), pair.to_id));
            let (Some(near), Some(far)) = (near, far) else {
                self.faults.push(format!("{}-{} joins strangers", pair.from_type, pair.to_type));
                continue;
            };
            let ends = ((pair.from_type, near.clone()), (pair.to_type, far.clone()));
            if slots.contains(&pair.type_id) {
                made.insert((ends.0.clone(), ends.1.clone(), pair.type_id));
            }
            joined.insert(ends);
        }
        for missing in wanted.difference(&made) {
            self.faults.push(format!("{missing:?} is not joined"));
        }
        // Of whatever type, the primary company's included.
        for (near, far) in joined {
            let is = |(from, to, _): &(End, End, u32)| {
                (from, to) == (&near, &far) || (from, to) == (&far, &near)
            };
            if !wanted.iter().any(is) {
                self.faults.push(format!("{near:?}-{far:?} is joined and should not be"));
            }
        }
        wanted.len()
    }

    /// Nothing is leased, owed or doubtful; links are HubSpot's ids.
    async fn at_rest(&mut self, expected: &BTreeMap<Key, Expected>) {
        type Row = (String, String, Option<String>, bool, bool, bool);
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT sync_type, external_id, hubspot_id, doubt <> 0, lease_token IS NOT NULL,
                    due_at IS NOT NULL OR link_mark IS NOT NULL
             FROM crm_record",
        )
        .fetch_all(self.queue.pool())
        .await
        .unwrap();
        for (sync_type, id, link, uncertain, leased, due) in rows {
            let key = (sync_type, id);
            let held = self.held.get(&key).map(|record| record.id.clone());
            if link != held {
                let fault = format!("{key:?} is linked to {link:?}, HubSpot has {held:?}");
                self.faults.push(fault);
            }
            // What was refused may stand there by an earlier call that was lost: while nothing is
            // linked the doubt stays, since a delete has to look.
            let refused = self.told.get(&key).is_some_and(|rows| rows.iter().any(|r| r.failed));
            let nothing = link.is_none() && held.is_none() && !expected.contains_key(&key);
            let uncertain = uncertain && !(refused && nothing);
            if uncertain || leased || due {
                let rows: Vec<String> =
                    self.told.get(&key).into_iter().flatten().map(Told::to_string).collect();
                self.faults.push(format!(
                    "{key:?}: uncertain {uncertain}, leased {leased}, due {due}: {rows:?}"
                ));
            }
        }
        let peak = self.sandbox.peak_window();
        assert!(peak <= self.limit, "{peak} calls within ten seconds");
    }
}
