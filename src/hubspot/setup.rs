//! Prepares an account: group, key and custom properties of every object kind.
//!
//! Setup is idempotent. What exists stays, and what is missing is created. What hubferry cannot
//! change is reported: a key that is not unique, and options and stages that people manage.

use serde::Serialize;

use super::classify::Failure;
use super::client::Sender;
use super::definitions::{
    NewProperty, Properties, create_group, create_property, has_group, pipelines_of, properties,
};
use super::paths::Version;
use crate::mapping::{Mapping, ObjectKind};

/// The result for one thing that setup checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object kind.
    pub object: String,
    /// What was checked: `group`, `property`, `option` or `stage`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// The result of the check.
    pub state: State,
    /// What to do, if a person has to act.
    pub hint: Option<String>,
}

/// The result of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It exists as required.
    Present,
    /// It was missing and has been created.
    Created,
    /// It is missing: setup only checked, or a person must create it.
    Missing,
    /// It exists, but not as required.
    Wrong,
}

/// Checks everything that the mapping needs and, unless `check`, creates what is missing.
///
/// # Errors
/// The first call that fails, unless it failed because the thing exists.
pub async fn setup(
    sender: &impl Sender,
    version: &Version,
    mapping: &Mapping,
    check: bool,
) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for object in mapping.objects() {
        let present = has_group(sender, version, &object.plural, &object.group).await?;
        if !present && !check {
            create_group(sender, version, &object.plural, &object.group, "hubferry").await?;
        }
        findings.push(finding(object, "group", &object.group, state(present, check)));

        let known = properties(sender, version, &object.plural).await?;
        for wanted in wanted(object) {
            let definition = known.get(&wanted.name);
            if definition.is_none() && !check {
                create_property(sender, version, &object.plural, &wanted).await?;
            }
            let mut found =
                finding(object, "property", &wanted.name, state(definition.is_some(), check));
            if definition.is_some_and(|d| wanted.unique && !d.unique) {
                found.state = State::Wrong;
                found.hint = Some(
                    "it exists without unique values, which cannot be changed: delete it in HubSpot and run setup again".into(),
                );
            }
            findings.push(found);
        }
        findings.extend(missing_options(object, mapping, &known));
        findings.extend(missing_stages(sender, version, object, mapping).await?);
    }
    Ok(findings)
}

fn state(present: bool, check: bool) -> State {
    match (present, check) {
        (true, _) => State::Present,
        (false, true) => State::Missing,
        (false, false) => State::Created,
    }
}

fn finding(object: &ObjectKind, kind: &'static str, name: &str, state: State) -> Finding {
    Finding { object: object.sync_type.clone(), kind, name: name.to_owned(), state, hint: None }
}

/// Returns the key and the custom properties of an object kind.
fn wanted(object: &ObjectKind) -> Vec<NewProperty> {
    let key = NewProperty {
        name: object.key.clone(),
        label: "hubferry id".into(),
        description: "The application's id of this record. Written by hubferry; do not edit."
            .into(),
        group: object.group.clone(),
        property_type: "string".into(),
        field_type: "text".into(),
        unique: true,
        options: Vec::new(),
    };
    let custom = object.custom_properties.iter().map(|p| NewProperty {
        name: p.name.clone(),
        label: p.label.clone(),
        description: p.description.clone(),
        group: object.group.clone(),
        property_type: p.property_type.clone(),
        field_type: p.field_type.clone(),
        unique: false,
        options: p.options.clone(),
    });
    std::iter::once(key).chain(custom).collect()
}

/// Returns the options that the mapping can write and the account's property lacks.
fn missing_options(object: &ObjectKind, mapping: &Mapping, known: &Properties) -> Vec<Finding> {
    let mut findings = Vec::new();
    let staged =
        |name: &str| object.stage.as_ref().is_some_and(|s| s.stage == name || s.pipeline == name);
    for (property, values) in mapping.possible_values(&object.sync_type) {
        let Some(definition) = known.get(property) else { continue };
        if definition.property_type != "enumeration" || staged(property) {
            continue;
        }
        let lacks = |value: &&str| !definition.options.iter().any(|option| option.value == *value);
        for value in values.into_iter().filter(lacks) {
            let name = format!("{property}={value}");
            let mut found = finding(object, "option", &name, State::Missing);
            found.hint = Some("add the option in HubSpot, or map to another one".into());
            findings.push(found);
        }
    }
    findings
}

/// Returns the stages that the mapping can write and the account's pipelines lack.
async fn missing_stages(
    sender: &impl Sender,
    version: &Version,
    object: &ObjectKind,
    mapping: &Mapping,
) -> Result<Vec<Finding>, Failure> {
    let Some(names) = &object.stage else { return Ok(Vec::new()) };
    let possible = mapping.possible_values(&object.sync_type);
    let Some(wanted) = possible.get(names.stage.as_str()) else { return Ok(Vec::new()) };
    let pipelines = possible.get(names.pipeline.as_str());
    let known = pipelines_of(sender, version, &object.plural).await?;
    let known: Vec<&str> = known
        .iter()
        .filter(|(p, _)| pipelines.is_none_or(|wanted| wanted.contains(p.value.as_str())))
        .flat_map(|(_, stages)| stages.iter().map(|stage| stage.value.as_str()))
        .collect();
    let lacks = |stage: &&&str| !known.contains(*stage);
    let missing = wanted.iter().filter(lacks).map(|stage| {
        let mut found = finding(object, "stage", stage, State::Missing);
        found.hint =
            Some("add the stage to the pipeline, or change the table in the mapping file".into());
        found
    });
    Ok(missing.collect())
}
