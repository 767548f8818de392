//! Making an account ready: group, key and custom properties of every object kind.
//!
//! Idempotent: what is there stays, what is missing is created, and what cannot be changed by us
//! (a key without uniqueness, options and stages that people own) is reported.

use serde::Serialize;

use super::classify::Failure;
use super::client::Sender;
use super::definitions::{
    NewProperty, Properties, create_group, create_property, has_group, pipelines_of, properties,
};
use super::paths::Version;
use crate::mapping::{Mapping, ObjectKind};

/// One thing that setup looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The object kind.
    pub object: String,
    /// What it is: `group`, `property`, `option`, `stage`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: State,
    /// What to do, where a person must.
    pub hint: Option<String>,
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There as wanted.
    Present,
    /// Was missing, and has been created.
    Created,
    /// Missing; only looked at, or not ours to create.
    Missing,
    /// There, but not as wanted.
    Wrong,
}

/// Looks at all that the mapping needs and, unless `check`, creates what is missing.
///
/// # Errors
/// The first call that fails for another reason than that the thing exists.
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

/// The key and the custom properties of an object kind.
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

/// Options that the mapping can write and the account's property lacks.
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

/// Stages that the mapping can write and its pipelines in the account lack.
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
