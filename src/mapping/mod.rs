//! The mapping turns an event into changes of HubSpot records, as described by mapping files.
//!
//! `config/objects.toml` holds one table per HubSpot object kind, `config/mappings/` one file per
//! entity of the application. The head of each file explains its grammar. Files are compiled once
//! ([`Mapping::builtin`], [`Mapping::load`]): this checks them against each other and runs the
//! examples they contain. From then on [`Mapping::map`] is a pure function of its input. It runs
//! when an event is accepted, to refuse bad events with reasons, and again at delivery, where the
//! files may have been corrected.

mod change;
mod compile;
mod compose;
mod draft;
mod error;
mod examples;
mod field;
mod load;
mod objects;
mod output;
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

/// Values from the settings that a mapping file can use with `var`.
#[derive(Debug, Clone, Default)]
pub struct Vars {
    /// `owner_id`: the HubSpot owner of new records. Without it, fields that use it are left out.
    pub owner_id: Option<String>,
}

/// All mapping files, compiled and immutable.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The object kinds, parents first.
    objects: Vec<ObjectKind>,
    /// The outputs by entity, from one file or several. The names of an entity's outputs differ.
    outputs: BTreeMap<String, Vec<Output>>,
}

/// One output of a mapping file, compiled: it makes one change of one record from an event.
#[derive(Debug, Clone)]
struct Output {
    /// Stands on the change and on its row.
    name: String,
    sync_type: String,
    external_id: ExternalId,
    priority: Priority,
    verbs: BTreeMap<String, Operation>,
    fields: Vec<Field>,
    slots: Vec<SlotRule>,
}

/// Where an output's external id comes from.
#[derive(Debug, Clone)]
enum ExternalId {
    /// The event's subject.
    Subject,
    /// The id of another entity, at this place of the data.
    At(Pointer),
}

/// Where to find the target of an association slot.
#[derive(Debug, Clone)]
struct SlotRule {
    name: String,
    target: Target,
    refuse: bool,
}

/// The target of an association slot.
#[derive(Debug, Clone)]
enum Target {
    /// The record with the id at this place of the data.
    At(Pointer),
    /// The record of another output of the same event.
    Output(String),
}

impl Mapping {
    /// Maps `input` to one change for each output of its entity, or returns all its faults. The index of each fault is 0, and pointers are relative to the event.
    pub fn map(&self, input: &Input<'_>) -> Result<Vec<Change>, Vec<Fault>> {
        let outputs = self.outputs.get(input.event_type.entity()).map_or(&[][..], Vec::as_slice);
        let mut changes = Vec::new();
        let mut faults: Vec<Fault> = Vec::new();
        let mut known = false;
        for output in outputs {
            let Some(operation) = output.verbs.get(input.event_type.verb()) else { continue };
            known = true;
            match output.plan(*operation, input, outputs) {
                Ok(change) => changes.push(self.with_email(change)),
                Err(found) => faults.extend(found),
            }
        }
        if !known {
            let detail = format!("must be one of {}", self.event_types().join(", "));
            faults.push(Fault::new(0, "/type", "unknown_event_type", detail));
        }
        // Two properties that read the same place would report the same fault twice.
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

    /// Returns the object kind of a sync type.
    pub fn object(&self, sync_type: &str) -> Option<&ObjectKind> {
        self.objects.iter().find(|object| object.sync_type == sync_type)
    }

    /// Whether a file for `sync_type` writes this property.
    pub fn names(&self, sync_type: &str, property: &str) -> bool {
        self.fields(sync_type).any(|field| field.property == property)
    }

    /// The values that the files can write to each property of `sync_type`, for properties fed from
    /// constants and pick lists. HubSpot must know these values.
    pub fn possible_values(&self, sync_type: &str) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut values: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for field in self.fields(sync_type) {
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
        let fields = self.fields(sync_type).filter(|field| field.required);
        fields.map(|field| field.property.clone()).collect()
    }

    /// The fields of all outputs that feed `sync_type`.
    fn fields<'a>(&'a self, sync_type: &str) -> impl Iterator<Item = &'a Field> + use<'a> {
        let sync_type = sync_type.to_owned();
        let outputs = self.outputs.values().flatten().filter(move |o| o.sync_type == sync_type);
        outputs.flat_map(|output| &output.fields)
    }

    /// All known event types, sorted.
    pub fn event_types(&self) -> Vec<String> {
        let mut types: Vec<String> = self
            .outputs
            .iter()
            .flat_map(|(entity, outputs)| outputs.iter().map(move |output| (entity, output)))
            .flat_map(|(entity, output)| {
                output.verbs.keys().map(move |verb| format!("{entity}.{verb}"))
            })
            .collect();
        types.sort();
        types.dedup();
        types
    }
}
