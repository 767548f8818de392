//! Makes the change of one output from an event.

use std::collections::BTreeMap;

use super::draft::{Draft, reference};
use super::pointer::Found;
use super::transform::Invalid;
use super::{Change, ExternalId, Input, Operation, Output, Target};
use crate::event::Fault;

impl Output {
    /// Works out what `input` means for the record of this output. `siblings` are all outputs of
    /// the entity.
    pub(super) fn plan(
        &self,
        operation: Operation,
        input: &Input<'_>,
        siblings: &[Self],
    ) -> Result<Change, Vec<Fault>> {
        let mut draft = Draft::of(input.event_type.verb(), input.data);
        let mut parts = BTreeMap::new();
        let external_id = self.external_id(input).unwrap_or_else(|fault| {
            draft.faults.push(fault);
            String::new()
        });
        if operation == Operation::Upsert {
            self.fields.iter().for_each(|field| draft.write(field));
            for slot in &self.slots {
                match &slot.target {
                    Target::At(from) => draft.associate(slot, from),
                    Target::Output(name) => {
                        let sibling = siblings.iter().find(|sibling| sibling.name == *name);
                        let target = sibling.and_then(|sibling| sibling.external_id(input).ok());
                        draft.associations.insert(slot.name.clone(), target);
                    }
                }
            }
            draft.tell();
            parts = self.parts(input.event_type.entity(), input.data);
        }
        if !draft.faults.is_empty() {
            return Err(draft.faults);
        }
        Ok(Change {
            sync_type: self.sync_type.clone(),
            output: self.name.clone(),
            external_id,
            operation,
            priority: self.priority,
            properties: draft.properties,
            email: None,
            associations: draft.associations,
            parts,
            warnings: draft.warnings,
        })
    }

    /// The external id of the record.
    fn external_id(&self, input: &Input<'_>) -> Result<String, Fault> {
        let from = match &self.external_id {
            ExternalId::Subject => return Ok(input.subject.to_owned()),
            ExternalId::At(from) => from,
        };
        let found = match from.find(input.data) {
            Found::Value(value) => reference(value),
            Found::Absent | Found::Null | Found::Blocked(_) => Ok(None),
        };
        let missing = || Invalid::new("required", format!("must name a {}", self.sync_type));
        found
            .and_then(|id| id.ok_or_else(missing))
            .map_err(|invalid| Fault::new(0, from.in_event(), invalid.code, invalid.reason))
    }
}
