//! Examples in mapping files are run as tests when the file is compiled.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::field::Source;
use super::spec::ExampleSpec;
use super::{Change, Input, MappingError, Sheet};
use crate::event::{EventType, Fault};

/// The subject of every example.
const SUBJECT: &str = "example-1";

/// Runs the examples of one file.
pub(super) fn run(
    file: &str,
    entity: &str,
    sheet: &Sheet,
    examples: &[ExampleSpec],
) -> Result<(), MappingError> {
    for (index, example) in examples.iter().enumerate() {
        check(entity, sheet, example).map_err(|problem| MappingError::Example {
            file: file.to_owned(),
            index,
            event_type: example.event_type.clone(),
            problem,
        })?;
    }
    Ok(())
}

fn check(entity: &str, sheet: &Sheet, example: &ExampleSpec) -> Result<(), String> {
    let event_type: EventType =
        example.event_type.parse().map_err(|malformed| format!("its type {malformed}"))?;
    let operation = sheet.verbs.get(event_type.verb());
    let (true, Some(operation)) = (event_type.entity() == entity, operation) else {
        return Err("this file does not know its type".to_owned());
    };
    let data: Map<String, Value> = serde_json::from_str(&example.data)
        .map_err(|error| format!("its data is no JSON object: {error}"))?;
    let input = Input { event_type: &event_type, subject: SUBJECT, data: &data };
    match sheet.plan(*operation, &input) {
        Ok(change) => compare(sheet, example, change),
        Err(faults) => same("faults", &example.faults, &named(&faults)),
    }
}

fn compare(sheet: &Sheet, example: &ExampleSpec, mut change: Change) -> Result<(), String> {
    same("faults", &example.faults, &Vec::new())?;
    for field in &sheet.fields {
        let promised = example.properties.contains_key(&field.property);
        if matches!(field.source, Source::Setting(_)) && !promised {
            change.properties.remove(&field.property);
        }
    }
    same("properties", &example.properties, &change.properties)?;
    let associations = change.associations.into_iter();
    let associations: BTreeMap<_, _> =
        associations.map(|(slot, target)| (slot, target.unwrap_or_default())).collect();
    same("associations", &example.associations, &associations)?;
    let warnings: Vec<_> = change.warnings.into_iter().map(|warning| warning.code).collect();
    same("warnings", &example.warnings, &warnings)
}

/// Faults as an example writes them: `/data/email invalid_email`.
fn named(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(|fault| format!("{} {}", fault.pointer, fault.code)).collect()
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, promised: &T, found: &T) -> Result<(), String> {
    match promised == found {
        true => Ok(()),
        false => Err(format!("it promises the {what} {promised:?}, but they come to {found:?}")),
    }
}
