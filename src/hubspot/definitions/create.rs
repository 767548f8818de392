//! Creates properties and their groups.

use reqwest::Method;
use serde_json::{Value, json};

use super::list;
use crate::hubspot::classify::{Class, Failure};
use crate::hubspot::client::{Call, Sender};
use crate::hubspot::paths::Version;

/// Creates a property group. It is no error if the group exists.
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
    Ok(list(&body, "results").iter().any(|g| g.get("name").and_then(Value::as_str) == Some(name)))
}

/// The definition of a property to create.
#[derive(Debug, Clone)]
pub struct NewProperty {
    /// Its name.
    pub name: String,
    /// The label that people see.
    pub label: String,
    /// What the property is for.
    pub description: String,
    /// The group that contains it.
    pub group: String,
    /// The type, such as `string`.
    pub property_type: String,
    /// The field type, such as `text`.
    pub field_type: String,
    /// Whether values must be unique. It cannot be changed later.
    pub unique: bool,
    /// The value and label of each option.
    pub options: Vec<(String, String)>,
}

/// Creates a property. It is no error if the property exists.
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
