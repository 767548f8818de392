//! The mapping: what an event means for HubSpot records, told by files in a closed grammar.
//!
//! `config/objects.toml` holds one table per HubSpot object kind, `config/mappings/` one file per
//! entity of the application; the grammar is explained at the head of each. Files are compiled
//! once ([`Mapping::builtin`], [`Mapping::load`]), which checks them against each other and runs
//! the examples they carry. From then on [`Mapping::map`] is a pure function of its input, so that
//! it can run at the door, to refuse with reasons, and again at delivery with corrected files.

mod change;
mod compile;
mod compose;
mod error;
mod examples;
mod field;
mod load;
mod objects;
mod plan;
mod pointer;
mod spec;
mod transform;
mod unread;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Fault, Priority};

pub use change::{Change, Input, Operation, UnknownOperation, Warning};
pub use compose::{Composed, is_part};
pub use error::MappingError;
pub use objects::{CustomProperty, Lifecycle, ObjectKind, OnMissing, Slot, StageProperties};

pub use transform::{country_code, truth};

use field::Field;
use pointer::Pointer;

/// Values from the settings that a mapping file may name with `var`.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    /// `owner_id`: the HubSpot owner of what is created; fields that name it are left out without.
    pub owner_id: Option<String>,
}

/// All mapping files, compiled; immutable.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Parents first.
    objects: Vec<ObjectKind>,
    /// By entity; an entity may feed several object kinds, a file each.
    sheets: BTreeMap<String, Vec<Sheet>>,
}

/// One mapping file, compiled.
#[derive(Debug, Clone)]
struct Sheet {
    sync_type: String,
    priority: Priority,
    verbs: BTreeMap<String, Operation>,
    fields: Vec<Field>,
    slots: Vec<SlotRule>,
}

/// Where the target of an association slot is found.
#[derive(Debug, Clone)]
struct SlotRule {
    name: String,
    from: Pointer,
    refuse: bool,
}

impl Mapping {
    /// What `input` means: one change per object kind its entity feeds, or every fault of it.
    /// The faults' index is 0, their pointers are relative to the event.
    pub fn map(&self, input: &Input<'_>) -> Result<Vec<Change>, Vec<Fault>> {
        let sheets = self.sheets.get(input.event_type.entity()).map(Vec::as_slice);
        let mut changes = Vec::new();
        let mut faults: Vec<Fault> = Vec::new();
        let mut known = false;
        for sheet in sheets.unwrap_or_default() {
            let Some(operation) = sheet.verbs.get(input.event_type.verb()) else { continue };
            known = true;
            match sheet.plan(*operation, input) {
                Ok(change) => changes.push(self.with_email(change)),
                Err(found) => faults.extend(found),
            }
        }
        if !known {
            let detail = format!("must be one of {}", self.event_types().join(", "));
            faults.push(Fault::new(0, "/type", "unknown_event_type", detail));
        }
        // Two properties fed from one place would name the same fault twice.
        let mut seen = BTreeSet::new();
        faults.retain(|fault| seen.insert((fault.pointer.clone(), fault.code.clone())));
        if faults.is_empty() { Ok(changes) } else { Err(faults) }
    }

    fn with_email(&self, mut change: Change) -> Change {
        let name = self.object(&change.sync_type).and_then(|o| o.email_property.as_ref());
        let email = name.and_then(|name| change.properties.get(name)).filter(|e| !e.is_empty());
        change.email = email.cloned();
        change
    }

    /// The object kinds, parents first.
    pub fn objects(&self) -> &[ObjectKind] {
        &self.objects
    }

    /// The object kind of a sync type.
    pub fn object(&self, sync_type: &str) -> Option<&ObjectKind> {
        self.objects.iter().find(|object| object.sync_type == sync_type)
    }

    /// Whether a file of `sync_type` writes this property.
    pub fn names(&self, sync_type: &str, property: &str) -> bool {
        let sheets = self.sheets.values().flatten().filter(|s| s.sync_type == sync_type);
        sheets.flat_map(|sheet| &sheet.fields).any(|field| field.property == property)
    }

    /// Property -> the values that the files can write to it, for properties of `sync_type` that are
    /// fed from constants and pick lists. What HubSpot must know for them to work.
    pub fn possible_values(&self, sync_type: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        let sheets = self.sheets.values().flatten().filter(|s| s.sync_type == sync_type);
        for field in sheets.flat_map(|sheet| &sheet.fields) {
            let written = field.source.written();
            let absent = field.when_absent.values().map(String::as_str);
            let all: BTreeSet<&str> =
                written.into_iter().chain(absent).filter(|v| !v.is_empty()).collect();
            if !all.is_empty() {
                values.entry(&field.property).or_default().extend(all);
            }
        }
        values
    }

    /// The properties of `sync_type` that a file marks as required.
    pub fn required(&self, sync_type: &str) -> BTreeSet<String> {
        let sheets = self.sheets.values().flatten().filter(|s| s.sync_type == sync_type);
        let fields = sheets.flat_map(|sheet| &sheet.fields).filter(|field| field.required);
        fields.map(|field| field.property.clone()).collect()
    }

    /// Every event type that is understood, sorted.
    pub fn event_types(&self) -> Vec<String> {
        let mut types: Vec<String> = self
            .sheets
            .iter()
            .flat_map(|(entity, sheets)| sheets.iter().map(move |sheet| (entity, sheet)))
            .flat_map(|(entity, sheet)| {
                sheet.verbs.keys().map(move |verb| format!("{entity}.{verb}"))
            })
            .collect();
        types.sort();
        types.dedup();
        types
    }
}
