//! Calls on property definitions and their groups.

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::account::schema::{Group, Modification, Property, PropertyOption};
use crate::account::state::State;
use crate::api::batch::complete;
use crate::clock;
use crate::kinds::{Kind, Version};
use crate::wire::body;
use crate::wire::call::Call;
use crate::wire::reply::{Answer, Refusal, Reply};

/// The most unique properties of a kind.
const UNIQUE_LIMIT: usize = 10;
const BATCH_LIMIT: usize = 100;
const NAME_LIMIT: usize = 100;

/// Everything under `/crm/properties/{version}/{type}`.
pub(crate) fn answer(
    state: &mut State,
    call: &Call,
    version: Version,
    kind: Kind,
    rest: &[&str],
) -> Answer {
    match (&call.method, rest) {
        (&Method::GET, []) => {
            let archived = call.query.get("archived").is_some_and(|a| a == "true");
            let all = state.store(kind).schema.properties.values();
            let shown: Vec<&Property> = all.filter(|p| p.archived == archived).collect();
            Ok(Reply::json(200, json!({"results": shown})))
        }
        (&Method::POST, []) => Ok(Reply::json(201, json!(define(state, kind, call.json()?)?))),
        (&Method::GET, ["groups"]) => {
            let groups: Vec<&Group> = state.store(kind).schema.groups.values().collect();
            Ok(Reply::json(200, json!({"results": groups})))
        }
        (&Method::POST, ["groups"]) => define_group(state, kind, call.json()?),
        (&Method::GET, ["groups", name]) => {
            let group = state.store(kind).schema.groups.get(*name);
            Ok(Reply::json(200, json!(group.ok_or_else(Refusal::not_found)?)))
        }
        (&Method::POST, ["batch", "create"]) => batch_create(state, call, kind),
        (&Method::POST, ["batch", "read"]) => batch_read(state, call, version, kind),
        (&Method::GET, [name]) => Ok(Reply::json(200, json!(find(state, kind, name)?))),
        (&Method::PATCH, [name]) => change(state, kind, name, call.json()?),
        (&Method::DELETE, [name]) => archive(state, kind, name),
        (_, _) => Err(Refusal::not_found()),
    }
}

/// The allowed members of a new definition. All others are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NewProperty {
    name: String,
    label: String,
    #[serde(rename = "type")]
    value_type: String,
    field_type: String,
    group_name: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    options: Vec<PropertyOption>,
    #[serde(default)]
    display_order: Option<i64>,
    #[serde(default)]
    has_unique_value: bool,
    #[serde(default)]
    hidden: bool,
    #[serde(default)]
    form_field: bool,
}

/// Adds a definition, or restores an archived one with the new content.
pub(crate) fn define(state: &mut State, kind: Kind, body: &Value) -> Result<Property, Refusal> {
    let new = NewProperty::deserialize(body)
        .map_err(|e| Refusal::plain(400, format!("Invalid input JSON on line 1, column 1: {e}")))?;
    let schema = &mut state.store_mut(kind).schema;
    if schema.live(&new.name).is_some() {
        let message = format!("A property named '{}' already exists.", new.name);
        return Err(Refusal::plain(409, message)
            .category("OBJECT_ALREADY_EXISTS")
            .sub_category("Properties.PROPERTY_WITH_NAME_EXISTS"));
    }
    check_name(&new.name)?;
    check_form(&new.value_type, &new.field_type, &new.options)?;
    if !schema.groups.contains_key(&new.group_name) {
        return Err(Refusal::validation(format!(
            "Property group {} doesn't exist",
            new.group_name
        ))
        .sub_category("PropertyValidationError.GROUP_DOES_NOT_EXIST"));
    }
    if new.has_unique_value && schema.unique_names().count() >= UNIQUE_LIMIT {
        return Err(Refusal::validation(format!(
            "An object may have at most {UNIQUE_LIMIT} properties with unique values"
        )));
    }
    let now = clock::iso(clock::now());
    let property = Property {
        name: new.name,
        label: new.label,
        value_type: new.value_type,
        field_type: new.field_type,
        description: new.description,
        group_name: new.group_name,
        options: new.options,
        display_order: new.display_order.unwrap_or(-1),
        calculated: false,
        external_options: false,
        has_unique_value: new.has_unique_value,
        hidden: new.hidden,
        hubspot_defined: false,
        modification_metadata: Modification {
            archivable: true,
            read_only_definition: false,
            read_only_value: false,
        },
        form_field: new.form_field,
        data_sensitivity: "non_sensitive",
        created_at: now.clone(),
        updated_at: now,
        archived: false,
    };
    schema.properties.insert(property.name.clone(), property.clone());
    Ok(property)
}

fn check_name(name: &str) -> Result<(), Refusal> {
    let good = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && name.len() <= NAME_LIMIT;
    let refusal = || {
        Refusal::validation(format!(
            "The property name {name} must begin with a lower-case letter and hold only \
             lower-case letters, digits and underscores"
        ))
        .sub_category("PropertyValidationError.INVALID_NAME")
    };
    good.then_some(()).ok_or_else(refusal)
}

fn check_form(
    value_type: &str,
    field_type: &str,
    options: &[PropertyOption],
) -> Result<(), Refusal> {
    let fits: &[&str] = match value_type {
        "string" => &["text", "textarea", "html", "file", "phonenumber"],
        "number" => &["number"],
        "bool" => &["booleancheckbox"],
        "enumeration" => &["select", "radio", "checkbox", "booleancheckbox"],
        "date" | "datetime" => &["date"],
        "phone_number" => &["phonenumber"],
        _ => return Err(Refusal::validation(format!("{value_type} is not a property type"))),
    };
    if !fits.contains(&field_type) {
        return Err(Refusal::validation(format!(
            "The field type {field_type} does not go with the type {value_type}"
        )));
    }
    if value_type == "enumeration" && options.is_empty() {
        return Err(Refusal::validation("An enumeration needs at least one option"));
    }
    Ok(())
}

fn find<'a>(state: &'a State, kind: Kind, name: &str) -> Result<&'a Property, Refusal> {
    state.store(kind).schema.live(name).ok_or_else(|| unknown(kind, name))
}

fn unknown(kind: Kind, name: &str) -> Refusal {
    let upper = kind.singular().to_uppercase();
    Refusal::plain(404, format!("Property \"{name}\" does not exist for {upper}"))
        .category("OBJECT_NOT_FOUND")
        .context("propertyName", &[name])
}

/// Changes what may be changed. `hasUniqueValue`, the name and the rest are ignored.
fn change(state: &mut State, kind: Kind, name: &str, body: &Value) -> Answer {
    let options = match &body["options"] {
        Value::Null => None,
        options => Some(Vec::<PropertyOption>::deserialize(options).map_err(|e| {
            Refusal::plain(400, format!("Invalid input JSON on line 1, column 1: {e}"))
        })?),
    };
    let schema = &mut state.store_mut(kind).schema;
    let property = schema.properties.get_mut(name).filter(|p| !p.archived);
    let property = property.ok_or_else(|| unknown(kind, name))?;
    if let Some(options) = options {
        property.options = options;
    }
    if let Some(label) = body["label"].as_str() {
        property.label = label.to_owned();
    }
    if let Some(description) = body["description"].as_str() {
        property.description = description.to_owned();
    }
    if let Some(hidden) = body["hidden"].as_bool() {
        property.hidden = hidden;
    }
    property.updated_at = clock::iso(clock::now());
    Ok(Reply::json(200, json!(property)))
}

fn archive(state: &mut State, kind: Kind, name: &str) -> Answer {
    let schema = &mut state.store_mut(kind).schema;
    let property = schema.properties.get_mut(name).filter(|p| !p.archived);
    let property = property.ok_or_else(|| unknown(kind, name))?;
    if !property.modification_metadata.archivable {
        return Err(Refusal::validation(format!("The property {name} cannot be deleted"))
            .sub_category("PropertyValidationError.CANNOT_DELETE_PROPERTY_IN_USE"));
    }
    property.archived = true;
    Ok(Reply::empty(204))
}

fn define_group(state: &mut State, kind: Kind, body: &Value) -> Answer {
    let (Some(name), Some(label)) = (body["name"].as_str(), body["label"].as_str()) else {
        return Err(Refusal::validation("A property group needs a name and a label"));
    };
    let groups = &mut state.store_mut(kind).schema.groups;
    if groups.contains_key(name) {
        return Err(Refusal::plain(
            409,
            format!("A property group named '{name}' already exists."),
        )
        .category("OBJECT_ALREADY_EXISTS")
        .sub_category("PropertyGroups.PROPERTY_GROUP_WITH_NAME_EXISTS"));
    }
    let display_order = i64::try_from(groups.len()).unwrap_or(0);
    let group = Group { name: name.into(), label: label.into(), display_order, archived: false };
    groups.insert(name.into(), group.clone());
    Ok(Reply::json(201, json!(group)))
}

fn batch_create(state: &mut State, call: &Call, kind: Kind) -> Answer {
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in body::inputs(call, BATCH_LIMIT)? {
        match define(state, kind, input) {
            Ok(property) => results.push(json!(property)),
            Err(refusal) => {
                let name = input["name"].as_str().unwrap_or_default();
                let refusal = refusal.context("name", &[name]);
                errors.push(refusal.item(None, state.settings.portal_id));
            }
        }
    }
    let status = if errors.is_empty() { 201 } else { 207 };
    Ok(Reply::json(status, complete(results, errors)))
}

fn batch_read(state: &State, call: &Call, version: Version, kind: Kind) -> Answer {
    let body = call.json()?;
    for field in ["archived", "dataSensitivity"] {
        if version != Version::Old && body[field].is_null() {
            return Err(Refusal::plain(
                400,
                format!(
                    "Invalid input JSON on line 1, column 1: some of required attributes are not \
                     set [{field}]"
                ),
            ));
        }
    }
    let (mut results, mut errors) = (Vec::new(), Vec::new());
    for input in body::inputs(call, BATCH_LIMIT)? {
        let name = input["name"].as_str().unwrap_or_default();
        match find(state, kind, name) {
            Ok(property) => results.push(json!(property)),
            Err(refusal) => errors.push(refusal.item(None, state.settings.portal_id)),
        }
    }
    let status = if errors.is_empty() { 200 } else { 207 };
    Ok(Reply::json(status, complete(results, errors)))
}
