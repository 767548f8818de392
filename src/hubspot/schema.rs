//! What the account's schema holds: property definitions, groups, pipelines.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use super::classify::{Class, Failure};
use super::client::{Call, Sender};
use super::paths::Version;

/// A property definition, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// `string`, `number`, `enumeration` …
    pub property_type: String,
    /// Set at creation for good.
    pub unique: bool,
    /// HubSpot computes it.
    pub read_only: bool,
    /// The internal values of its options.
    pub options: Vec<String>,
}

/// Property name -> definition.
pub type Properties = BTreeMap<String, Property>;

/// Reads all property definitions of an object type.
///
/// # Errors
/// The classified failure.
pub async fn properties(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
) -> Result<Properties, Failure> {
    let call = Call::get(version.properties(plural), &format!("read properties of {plural}"));
    let body = sender.send(call).await.result?;
    let results = body.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(results.iter().filter_map(property).collect())
}

fn property(value: &Value) -> Option<(String, Property)> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let flag = |pointer: &str| value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    let options = value.get("options").and_then(Value::as_array).cloned().unwrap_or_default();
    let definition = Property {
        property_type: text("type").unwrap_or_default(),
        unique: flag("/hasUniqueValue"),
        read_only: flag("/modificationMetadata/readOnlyValue") || flag("/calculated"),
        options: options
            .iter()
            .filter_map(|o| o.get("value")?.as_str().map(str::to_owned))
            .collect(),
    };
    Some((text("name")?, definition))
}

/// Reads the stage ids of an object type, by pipeline id.
///
/// # Errors
/// The classified failure.
pub async fn stages(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
) -> Result<BTreeMap<String, Vec<String>>, Failure> {
    let call = Call::get(version.pipelines(plural), &format!("read pipelines of {plural}"));
    let body = sender.send(call).await.result?;
    let id = |value: &Value| value.get("id").and_then(Value::as_str).map(str::to_owned);
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    Ok(list(&body, "results")
        .iter()
        .filter_map(|pipeline| {
            Some((id(pipeline)?, list(pipeline, "stages").iter().filter_map(id).collect()))
        })
        .collect())
}

/// Creates a property group; one that is there already is fine.
///
/// # Errors
/// The classified failure.
pub async fn create_group(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
    name: &str,
    label: &str,
) -> Result<(), Failure> {
    let body = json!({ "name": name, "label": label, "displayOrder": -1 });
    let call =
        Call::post(version.property_groups(plural), format!("create group of {plural}"), body, 1);
    exists_or_made(sender.send(call).await.result)
}

/// Whether an object type has the property group.
///
/// # Errors
/// The classified failure.
pub async fn has_group(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
    name: &str,
) -> Result<bool, Failure> {
    let call = Call::get(version.property_groups(plural), &format!("read groups of {plural}"));
    let body = sender.send(call).await.result?;
    let groups = body.get("results").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(groups.iter().any(|g| g.get("name").and_then(Value::as_str) == Some(name)))
}

/// A property to be created.
#[derive(Debug, Clone)]
pub struct NewProperty {
    /// Its name.
    pub name: String,
    /// What people see.
    pub label: String,
    /// What it is for.
    pub description: String,
    /// Its group.
    pub group: String,
    /// Such as `string`.
    pub property_type: String,
    /// Such as `text`.
    pub field_type: String,
    /// A key; can only be set now.
    pub unique: bool,
    /// Value and label of each option.
    pub options: Vec<(String, String)>,
}

/// Creates a property; one that is there already is fine.
///
/// # Errors
/// The classified failure.
pub async fn create_property(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
    new: &NewProperty,
) -> Result<(), Failure> {
    let options: Vec<Value> = new
        .options
        .iter()
        .enumerate()
        .map(|(order, (value, label))| {
            json!({ "value": value, "label": label, "hidden": false, "displayOrder": order })
        })
        .collect();
    let body = json!({
        "name": new.name, "label": new.label, "description": new.description,
        "groupName": new.group, "type": new.property_type, "fieldType": new.field_type,
        "hasUniqueValue": new.unique, "formField": false, "options": options,
    });
    let mut call =
        Call::post(version.properties(plural), format!("create property of {plural}"), body, 1);
    call.method = Method::POST;
    exists_or_made(sender.send(call).await.result)
}

fn exists_or_made(result: Result<Value, Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.class != Class::Conflict => Err(failure),
        _ => Ok(()),
    }
}
