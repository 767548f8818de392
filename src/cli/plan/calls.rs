//! Groups records into calls, in the order in which the engine would make them. The first due
//! record decides the object kind, and up to a batch of that kind is sent with it. The engine's own
//! functions plan the calls and write their bodies.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::gather::Owed;
use crate::engine::plan::{Need, Planned, input, plan};
use crate::hubspot::associate::{self, Pair};
use crate::hubspot::definitions::Definitions;
use crate::hubspot::key::key;
use crate::hubspot::paths::Version;
use crate::hubspot::{Call, batch};
use crate::mapping::{Mapping, ObjectKind, Operation};
use crate::queue::model::Stage;

/// The input of the calls besides the events.
pub(super) struct Terms<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) version: &'a Version,
    pub(super) namespace: Option<&'a str>,
    /// The property definitions of the account by object kind, if it was asked.
    pub(super) definitions: &'a BTreeMap<String, Definitions>,
}

/// A record, planned.
pub(super) struct Line<'a> {
    pub(super) object: &'a ObjectKind,
    pub(super) planned: Planned,
    /// Whether it ends erased.
    pub(super) erases: bool,
    head_start: chrono::TimeDelta,
}

impl Line<'_> {
    /// The properties of the call that creates it; `None` without one.
    pub(super) fn written(&self) -> Option<BTreeMap<String, String>> {
        match &self.planned.need {
            _ if self.erases => None,
            Need::Write(properties) => Some(properties.clone()),
            Need::Clear(property) => Some(BTreeMap::from([(property.clone(), String::new())])),
            Need::Nothing | Need::Missing(_) => None,
        }
    }

    /// How plans name a HubSpot id that is not known yet.
    pub(super) fn name(&self) -> String {
        placeholder(&self.object.sync_type, &self.planned.record.external_id)
    }
}

fn placeholder(sync_type: &str, external_id: &str) -> String {
    format!("{{id of {sync_type} {external_id}}}")
}

/// Plans each record.
pub(super) fn lines<'a>(records: Vec<Owed>, terms: &Terms<'a>) -> Vec<Line<'a>> {
    records
        .into_iter()
        .filter_map(|owed| {
            let object = terms.mapping.object(&owed.sync_type)?;
            let erases = owed.record.rows.iter().any(|row| row.operation == Operation::Erase);
            let definitions = terms.definitions.get(&owed.sync_type);
            let planned = plan(terms.mapping, object, definitions, owed.record);
            Some(Line { object, planned, erases, head_start: owed.head_start })
        })
        .collect()
}

/// All calls, in their order.
pub(super) fn calls(lines: &[Line<'_>], terms: &Terms<'_>) -> Vec<Call> {
    let mut calls = looks(lines, terms, |line| line.erases, &[]);
    // HubSpot may have what is to be deleted, and what it could not create.
    let deletes = |line: &Line<'_>| {
        let rows = &line.planned.rows;
        !line.erases && rows.iter().any(|row| row.operation == Operation::Archive)
    };
    calls.extend(looks(lines, terms, deletes, &[]));
    let missing = |line: &Line<'_>| matches!(line.planned.need, Need::Missing(_)) && !line.erases;
    calls.extend(looks(lines, terms, missing, &[batch::MERGED]));
    calls.extend(creations(lines, terms));
    calls.extend(associations(lines, terms));
    calls
}

/// HubSpot is asked by key for records that were never linked.
fn looks(
    lines: &[Line<'_>],
    terms: &Terms<'_>,
    which: impl Fn(&Line<'_>) -> bool,
    more: &[&str],
) -> Vec<Call> {
    let mut calls = Vec::new();
    for object in terms.mapping.objects() {
        let keys: Vec<String> = lines
            .iter()
            .filter(|line| which(line) && line.object.sync_type == object.sync_type)
            .map(|line| key(terms.namespace, &line.planned.record.external_id))
            .collect();
        let properties: Vec<&str> =
            [object.key.as_str()].into_iter().chain(more.iter().copied()).collect();
        calls.extend(keys.chunks(batch::LARGEST).map(|keys| {
            batch::read(terms.version, &object.plural, Some(&object.key), keys, &properties)
        }));
    }
    calls
}

fn creations(lines: &[Line<'_>], terms: &Terms<'_>) -> Vec<Call> {
    // First in line first; at equal rank parents go before their children.
    let mut waiting: Vec<&Line<'_>> = lines.iter().filter(|l| l.written().is_some()).collect();
    waiting.sort_by_key(|line| {
        (std::cmp::Reverse(line.head_start), line.object.order, line.planned.record.id)
    });
    let mut calls = Vec::new();
    while let Some(first) = waiting.first() {
        let object = first.object;
        let (mut of_kind, mut rest): (Vec<&Line<'_>>, Vec<&Line<'_>>) =
            waiting.iter().partition(|line| line.object.sync_type == object.sync_type);
        if of_kind.len() > batch::LARGEST {
            rest.extend(of_kind.split_off(batch::LARGEST));
        }
        let inputs: Vec<batch::Input> = of_kind
            .iter()
            .filter_map(|line| {
                let record = &line.planned.record;
                Some(input(object, Stage::Create, terms.namespace, record, &line.written()?))
            })
            .collect();
        let how = batch::Write::Upsert(&object.key);
        calls.push(batch::write(
            terms.version,
            &object.plural,
            how,
            &inputs.iter().collect::<Vec<_>>(),
        ));
        rest.sort_by_key(|line| {
            (std::cmp::Reverse(line.head_start), line.object.order, line.planned.record.id)
        });
        waiting = rest;
    }
    calls
}

fn associations(lines: &[Line<'_>], terms: &Terms<'_>) -> Vec<Call> {
    let stands = standing(lines);
    let mut groups: BTreeMap<(u16, String, String, u32), Vec<Pair>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.written().is_some()) {
        for (slot, (target, _)) in &line.planned.folded.slots {
            let (Some(target), Some(slot)) = (target, line.object.slot(slot)) else { continue };
            let Some(to) = stands.get(&(slot.target.as_str(), target.as_str())) else { continue };
            let of = &line.object;
            let group = (of.order, of.plural.clone(), slot.target.clone(), slot.type_id);
            groups.entry(group).or_default().push(Pair { from: line.name(), to: to.clone() });
        }
    }
    let mut calls = Vec::new();
    for ((_, from, target, type_id), pairs) in groups {
        let to = terms.mapping.object(&target).map_or(target.as_str(), |o| &o.plural);
        for pairs in pairs.chunks(associate::LARGEST) {
            calls.push(associate::make(terms.version, &from, to, type_id, pairs));
        }
    }
    calls
}

/// The records that these events create, by kind and external id.
fn standing<'a>(lines: &'a [Line<'_>]) -> HashMap<(&'a str, &'a str), String> {
    let created = lines.iter().filter(|line| line.written().is_some());
    created
        .map(|line| {
            let external_id = line.planned.record.external_id.as_str();
            ((line.object.sync_type.as_str(), external_id), line.name())
        })
        .collect()
}

/// The targets that these events do not create, so that the association waits for them.
pub(super) fn awaited(lines: &[Line<'_>]) -> std::collections::HashSet<(String, String)> {
    let stands = standing(lines);
    let slots = lines.iter().flat_map(|line| {
        line.planned.folded.slots.iter().filter_map(|(slot, (target, _))| {
            Some((line.object.slot(slot)?.target.clone(), target.clone()?))
        })
    });
    slots.filter(|(kind, id)| !stands.contains_key(&(kind.as_str(), id.as_str()))).collect()
}

/// A call as JSON.
pub(super) fn show(call: &Call) -> Value {
    json!({ "method": call.method.as_str(), "path": call.path, "purpose": call.purpose,
            "inputs": call.inputs, "body": call.body })
}
