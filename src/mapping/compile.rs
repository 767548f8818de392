//! Compilation checks a mapping file against the object kinds, so that mapping itself cannot fail
//! on a bad file.

mod field;

use std::collections::{BTreeMap, BTreeSet};

use rlibphonenumber::Region;

use super::pointer::Pointer;
use super::spec::{ExternalIdSpec, FieldSpec, FileSpec, OnInvalid, OutputSpec};
use super::transform::{Options, region};
use super::{ExternalId, MappingError, ObjectKind, Operation, Output, SlotRule, Target, Vars};
use crate::event::is_word;

/// Properties with this prefix belong to hubferry and must be declared in `objects.toml`.
const OURS: &str = "hubferry_";

/// What the fields of one file are compiled against.
struct Scope<'a> {
    file: &'a str,
    object: &'a ObjectKind,
    vars: &'a Vars,
    verbs: &'a BTreeMap<String, Operation>,
    tables: &'a BTreeMap<&'a str, Options>,
    region: Region,
}

/// Compiles the outputs of one file.
pub(super) fn outputs(
    file: &str,
    spec: &mut FileSpec,
    objects: &[ObjectKind],
    vars: &Vars,
) -> Result<Vec<Output>, MappingError> {
    let invalid = |key: &str, problem: String| Err(MappingError::invalid(file, key, problem));
    let outputs = match spec.take_outputs() {
        Ok(outputs) => outputs,
        Err((key, problem)) => return invalid(key, problem),
    };
    let words = [("entity", &spec.entity)].into_iter();
    let words = words.chain(outputs.iter().map(|output| ("outputs.name", &output.name)));
    for (key, word) in words.chain(spec.verbs.keys().map(|verb| ("verbs", verb))) {
        if !is_word(word) {
            return invalid(key, format!("`{word}` must be a to z, 0 to 9 and _"));
        }
    }
    if spec.verbs.is_empty() {
        return invalid("verbs", "is empty: name each verb, such as created = \"upsert\"".into());
    }
    if spec.examples.is_empty() {
        return invalid("examples", "there is none: add at least one [[examples]]".into());
    }
    let region = match spec.default_region.as_deref().map(|text| (text, region(text))) {
        None => Region::FR,
        Some((_, Some(region))) => region,
        Some((text, None)) => {
            return invalid(
                "default_region",
                format!("`{text}` is no country: use a code like FR"),
            );
        }
    };
    let mut names = BTreeSet::new();
    let tables = tables(file, spec, &outputs)?;
    let mut compiled = Vec::new();
    for output in &outputs {
        if !names.insert(&output.name) {
            return invalid("outputs.name", format!("`{}` is used twice: rename one", output.name));
        }
        let Some(object) = objects.iter().find(|object| object.sync_type == output.object) else {
            let known: Vec<_> = objects.iter().map(|object| object.sync_type.as_str()).collect();
            let problem = format!("no such table in objects.toml: use one of {}", known.join(", "));
            return invalid("object", problem);
        };
        let scope = Scope { file, object, vars, verbs: &spec.verbs, tables: &tables, region };
        let mut seen = BTreeSet::new();
        let mut fields = Vec::new();
        for field in &output.fields {
            if !seen.insert(&field.property) {
                return Err(scope.error(field, "property", "is written twice: keep one"));
            }
            fields.extend(scope.field(field)?);
        }
        compiled.push(Output {
            name: output.name.clone(),
            sync_type: object.sync_type.clone(),
            external_id: external_id(file, output)?,
            priority: spec.priority,
            verbs: spec.verbs.clone(),
            fields,
            slots: slots(file, &outputs, output, object)?,
        });
    }
    Ok(compiled)
}

fn external_id(file: &str, spec: &OutputSpec) -> Result<ExternalId, MappingError> {
    match &spec.external_id {
        None => Ok(ExternalId::Subject),
        Some(ExternalIdSpec::Word(word)) if word == "subject" => Ok(ExternalId::Subject),
        Some(ExternalIdSpec::Word(word)) => {
            let problem =
                format!("`{word}` is unknown: write \"subject\" or {{ from = \"/pointer\" }}");
            Err(MappingError::invalid(file, "external_id", problem))
        }
        Some(ExternalIdSpec::From(place)) => Pointer::parse(&place.from)
            .map(ExternalId::At)
            .map_err(|problem| MappingError::invalid(file, "external_id.from", problem)),
    }
}

fn tables<'a>(
    file: &str,
    spec: &'a FileSpec,
    outputs: &[OutputSpec],
) -> Result<BTreeMap<&'a str, Options>, MappingError> {
    let mut tables = BTreeMap::new();
    for (name, table) in &spec.tables {
        let key = format!("tables.{name}");
        let named = |field: &FieldSpec| field.table.as_deref() == Some(name);
        if !outputs.iter().flat_map(|output| &output.fields).any(named) {
            let problem = "no field names it: remove it or write table = in a field";
            return Err(MappingError::invalid(file, key, problem));
        }
        let options = Options::new(&table.options, table.default.clone()).map_err(|twice| {
            let problem =
                format!("`{twice}` is listed twice, apart from case or spacing: keep one");
            MappingError::invalid(file, key, problem)
        })?;
        tables.insert(name.as_str(), options);
    }
    Ok(tables)
}

fn slots(
    file: &str,
    outputs: &[OutputSpec],
    spec: &OutputSpec,
    object: &ObjectKind,
) -> Result<Vec<SlotRule>, MappingError> {
    let mut slots = Vec::new();
    for (name, slot) in &spec.associations {
        let key = format!("associations.{name}");
        let invalid = |key: String, problem: String| MappingError::invalid(file, key, problem);
        let Some(declared) = object.slot(name) else {
            let problem = format!(
                "objects.toml declares no such slot: add [{}.slots.{name}] there",
                object.sync_type
            );
            return Err(invalid(key, problem));
        };
        let target = match (&slot.from, &slot.output) {
            (Some(from), None) => Pointer::parse(from)
                .map(Target::At)
                .map_err(|problem| invalid(format!("{key}.from"), problem))?,
            (None, Some(output)) => {
                let of_kind = |o: &&OutputSpec| o.name == *output && o.object == declared.target;
                if !outputs.iter().any(|o| of_kind(&o)) {
                    let kind = &declared.target;
                    let problem = format!("no output `{output}` of this file makes a {kind}");
                    return Err(invalid(format!("{key}.output"), problem));
                }
                Target::Output(output.clone())
            }
            _ => return Err(invalid(key, "write exactly one of from and output".into())),
        };
        let refuse = slot.on_invalid == Some(OnInvalid::Refuse);
        slots.push(SlotRule { name: name.clone(), target, refuse });
    }
    Ok(slots)
}
