//! Merges and erases whole records.
//!
//! A merge creates a third record that takes over both, unless the account keeps primary ids. An
//! erased contact is gone permanently, and its addresses are never accepted again.

use crate::account::state::State;
use crate::account::store::Record;
use crate::clock;
use crate::kinds::Kind;
use crate::wire::reply::Refusal;

impl State {
    /// Merges two live records and returns the id of the survivor.
    pub(crate) fn merge_records(
        &mut self,
        kind: Kind,
        primary: u64,
        other: u64,
    ) -> Result<u64, Refusal> {
        let live = |id: u64| {
            let missing = || Refusal::missing_objects(kind, &[id.to_string()]);
            self.store(kind).live(id).cloned().ok_or_else(missing)
        };
        let (primary, other) = (live(primary)?, live(other)?);
        if primary.id == other.id {
            return Err(Refusal::validation("A record cannot be merged with itself"));
        }
        let id = if self.faults.merge_keeps_primary_id { primary.id } else { self.new_id() };
        let vanish = self.faults.merged_ids_vanish;
        let survivor = joined(kind, id, &primary, &other);
        let store = self.store_mut(kind);
        for gone in [primary.id, other.id] {
            store.remove(gone);
            if gone != id && !vanish {
                store.redirects.insert(gone, id);
            }
        }
        store.put(survivor);
        for gone in [primary.id, other.id] {
            if gone != id {
                self.links.hand_over((kind, gone), (kind, id));
            }
        }
        Ok(id)
    }

    /// Removes a record permanently, archived or not. A contact's addresses are never accepted
    /// again.
    pub(crate) fn erase(&mut self, kind: Kind, id: u64) -> bool {
        let store = self.store_mut(kind);
        let id = store.current_id(id);
        let Some(record) = store.remove(id) else { return false };
        self.links.forget((kind, id));
        if kind == Kind::Contact {
            for name in ["email", "hs_additional_emails"] {
                let addresses = record.properties.get(name).map_or("", String::as_str);
                let each = addresses.split(';').map(str::to_lowercase).filter(|a| !a.is_empty());
                self.forgotten.extend(each);
            }
        }
        true
    }
}

/// Returns the merged record: the values of the primary one, and those of the other where it has
/// none.
fn joined(kind: Kind, id: u64, primary: &Record, other: &Record) -> Record {
    let now = clock::now();
    let mut properties = other.properties.clone();
    properties.extend(primary.properties.clone());
    let addresses = [primary, other]
        .into_iter()
        .flat_map(|r| {
            let more = r.properties.get("hs_additional_emails").map_or("", String::as_str);
            r.properties.get("email").map(String::as_str).into_iter().chain(more.split(';'))
        })
        .filter(|a| !a.is_empty());
    let mut others: Vec<&str> = Vec::new();
    for address in addresses {
        if properties.get("email").is_none_or(|e| e != address) && !others.contains(&address) {
            others.push(address);
        }
    }
    let others = others.join(";");
    if !others.is_empty() {
        properties.insert("hs_additional_emails".into(), others);
    }
    let gone: Vec<String> = [primary, other]
        .into_iter()
        .flat_map(|r| {
            let earlier = r.properties.get("hs_merged_object_ids").map_or("", String::as_str);
            earlier.split(';').map(str::to_owned).chain([r.id.to_string()]).collect::<Vec<_>>()
        })
        .filter(|merged| !merged.is_empty() && *merged != id.to_string())
        .collect();
    if kind == Kind::Contact {
        let stamp = now.timestamp_millis();
        let vids: Vec<String> = gone.iter().map(|id| format!("{id}:{stamp}")).collect();
        properties.insert("hs_calculated_merged_vids".into(), vids.join(";"));
    }
    properties.insert("hs_merged_object_ids".into(), gone.join(";"));
    properties.insert("hs_object_id".into(), id.to_string());
    properties.insert(kind.modified_property().into(), clock::iso(now));
    let created_at = primary.created_at.min(other.created_at);
    Record { id, properties, created_at, updated_at: now, archived_at: None }
}
