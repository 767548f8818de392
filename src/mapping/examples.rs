//! Examples in mapping files are run as tests when the file is compiled.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::field::Source;
use super::spec::{ExampleSpec, OutputExample};
use super::{Change, Input, MappingError, Output};
use crate::event::{EventType, Fault};

/// The subject of every example.
const SUBJECT: &str = "example-1";

/// Runs the examples of one file.
pub(super) fn run(
    file: &str,
    entity: &str,
    outputs: &[Output],
    examples: &[ExampleSpec],
) -> Result<(), MappingError> {
    for (index, example) in examples.iter().enumerate() {
        check(entity, outputs, example).map_err(|problem| MappingError::Example {
            file: file.to_owned(),
            index,
            event_type: example.event_type.clone(),
            problem,
        })?;
    }
    Ok(())
}

fn check(entity: &str, outputs: &[Output], example: &ExampleSpec) -> Result<(), String> {
    let event_type: EventType =
        example.event_type.parse().map_err(|malformed| format!("its type {malformed}"))?;
    let verb = event_type.verb();
    if event_type.entity() != entity || !outputs.iter().any(|o| o.verbs.contains_key(verb)) {
        return Err("this file does not know its type".to_owned());
    }
    let data: Map<String, Value> = serde_json::from_str(&example.data)
        .map_err(|error| format!("its data is no JSON object: {error}"))?;
    let input = Input { event_type: &event_type, subject: SUBJECT, data: &data };
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for output in outputs {
        let Some(operation) = output.verbs.get(verb) else { continue };
        match output.plan(*operation, &input, outputs) {
            Ok(change) => changes.push((output, change)),
            Err(found) => faults.extend(named(&found)),
        }
    }
    // An event names each fault once, also if several outputs have it.
    let mut seen = BTreeSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    if !faults.is_empty() || !example.faults.is_empty() {
        return same("faults", &example.faults, &faults);
    }
    if let [(output, change)] = &mut changes[..]
        && example.outputs.is_empty()
    {
        let promised = OutputExample {
            external_id: None,
            properties: example.properties.clone(),
            associations: example.associations.clone(),
            warnings: example.warnings.clone(),
        };
        return compare(output, &promised, change);
    }
    let unnamed = |what: &str| format!("name its {what} under [examples.outputs.<name>]");
    let told = [
        example.properties.is_empty(),
        example.associations.is_empty(),
        example.warnings.is_empty(),
    ];
    if told.contains(&false) {
        return Err(unnamed("properties, associations and warnings"));
    }
    let made: Vec<_> = changes.iter().map(|(output, _)| output.name.as_str()).collect();
    same("outputs", &example.outputs.keys().map(String::as_str).collect(), &sorted(made))?;
    for (output, mut change) in changes {
        let Some(promised) = example.outputs.get(&output.name) else { continue };
        compare(output, promised, &mut change)
            .map_err(|problem| format!("of its output `{}`, {problem}", output.name))?;
    }
    Ok(())
}

fn sorted(mut names: Vec<&str>) -> Vec<&str> {
    names.sort_unstable();
    names
}

fn compare(output: &Output, promised: &OutputExample, change: &mut Change) -> Result<(), String> {
    for field in &output.fields {
        let is_promised = promised.properties.contains_key(&field.property);
        if matches!(field.source, Source::Setting(_)) && !is_promised {
            change.properties.remove(&field.property);
        }
    }
    let external_id = promised.external_id.as_deref().unwrap_or(SUBJECT);
    same("external id", &external_id, &change.external_id.as_str())?;
    same("properties", &promised.properties, &change.properties)?;
    let associations = std::mem::take(&mut change.associations).into_iter();
    let associations: BTreeMap<_, _> =
        associations.map(|(slot, target)| (slot, target.unwrap_or_default())).collect();
    same("associations", &promised.associations, &associations)?;
    let warnings = std::mem::take(&mut change.warnings).into_iter();
    same("warnings", &promised.warnings, &warnings.map(|warning| warning.code).collect())
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
