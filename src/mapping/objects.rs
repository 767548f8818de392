//! Object kinds: reads and checks `objects.toml`, which has one table per HubSpot object.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::MappingError;
use crate::event::is_word;

/// What to do when a linked record no longer exists in HubSpot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMissing {
    /// Create it again with all known values.
    Recreate,
    /// Fail the row and let a person decide.
    Stop,
}

/// Whether a lifecycle stage may move backwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// Never. An earlier stage is left out with a warning; HubSpot would keep the later one anyway.
    #[default]
    Forward,
    /// Yes. A separate call clears the stage first, because HubSpot only allows it that way.
    Free,
}

/// A custom property that `setup` creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomProperty {
    /// HubSpot's internal name.
    pub name: String,
    /// The label that people see.
    pub label: String,
    /// HubSpot's `type`: `string`, `number`, `date`, `datetime`, `bool` or `enumeration`.
    pub property_type: String,
    /// HubSpot's `fieldType`, which must match the type.
    pub field_type: String,
    /// Explains to people where the value comes from.
    pub description: String,
    /// Value and label of each option of an enumeration.
    pub options: Vec<(String, String)>,
}

/// An association that a record can have, with at most one target at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The name in mapping files, such as `business`.
    pub name: String,
    /// The sync type of the target.
    pub target: String,
    /// HubSpot's association type from owner to target, category `HUBSPOT_DEFINED`.
    pub type_id: u32,
    /// Types that HubSpot adds on its own in addition, such as the primary company.
    pub also_drop: Vec<u32>,
}

/// A HubSpot object kind that hubferry sends records of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectKind {
    /// hubferry's name for it, such as `contact`.
    pub sync_type: String,
    /// HubSpot's name for it in paths, such as `contacts`.
    pub plural: String,
    /// HubSpot's id for it, such as `0-1`.
    pub type_id: String,
    /// The position in the sending order. Parents have lower numbers and go first.
    pub order: u16,
    /// The property group that contains the custom properties.
    pub group: String,
    /// The unique property that holds the external id.
    pub key: String,
    /// A record is created only when at least one property of each inner list has a value.
    pub required_on_create: Vec<Vec<String>>,
    /// What to do when a record no longer exists in HubSpot.
    pub on_missing: OnMissing,
    /// The properties that `setup` creates in addition to the key.
    pub custom_properties: Vec<CustomProperty>,
    /// The associations that start at this kind.
    pub slots: Vec<Slot>,
    /// The property by which HubSpot itself recognises a record, if there is one.
    pub email_property: Option<String>,
    /// Pipeline and stage, for kinds that have them. The two are always sent together.
    pub stage: Option<StageProperties>,
    /// Whether HubSpot can erase a record permanently (contacts). Others are archived instead.
    pub erasable: bool,
    /// Whether the lifecycle stage may move backwards.
    pub lifecycle: Lifecycle,
}

/// The two properties that place a record in a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageProperties {
    /// The name of the pipeline property, such as `pipeline`.
    pub pipeline: String,
    /// The name of the stage property, such as `dealstage`.
    pub stage: String,
}

impl ObjectKind {
    /// Returns the slot with this name.
    pub fn slot(&self, name: &str) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.name == name)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectSpec {
    plural: String,
    type_id: String,
    order: u16,
    group: String,
    key: String,
    #[serde(default)]
    required_on_create: Vec<Vec<String>>,
    on_missing: OnMissing,
    email_property: Option<String>,
    stage: Option<StageProperties>,
    #[serde(default)]
    erasable: bool,
    #[serde(default)]
    lifecycle: Lifecycle,
    #[serde(default)]
    properties: Vec<PropertySpec>,
    #[serde(default)]
    slots: BTreeMap<String, SlotSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PropertySpec {
    name: String,
    label: String,
    #[serde(rename = "type")]
    property_type: String,
    field: String,
    description: String,
    #[serde(default)]
    options: Vec<OptionSpec>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OptionSpec {
    value: String,
    label: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlotSpec {
    target: String,
    type_id: u32,
    #[serde(default)]
    also_drop: Vec<u32>,
}

/// The field types that are allowed for each type.
const FIELD_TYPES: [(&str, &[&str]); 6] = [
    ("string", &["text", "textarea", "html", "phonenumber"]),
    ("number", &["number"]),
    ("date", &["date"]),
    ("datetime", &["date"]),
    ("bool", &["booleancheckbox"]),
    ("enumeration", &["select", "radio", "checkbox", "booleancheckbox"]),
];

/// Parses and checks `objects.toml`. Parents come first in the result.
pub(super) fn parse(file: &str, text: &str) -> Result<Vec<ObjectKind>, MappingError> {
    let specs: BTreeMap<String, ObjectSpec> = toml::from_str(text)
        .map_err(|e| MappingError::Syntax { file: file.to_owned(), message: e.to_string() })?;
    let names: BTreeSet<String> = specs.keys().cloned().collect();
    let mut objects = Vec::new();
    for (sync_type, spec) in specs {
        objects.push(object(file, sync_type, spec, &names)?);
    }
    objects.sort_by(|a, b| (a.order, &a.sync_type).cmp(&(b.order, &b.sync_type)));
    Ok(objects)
}

fn object(
    file: &str,
    sync_type: String,
    spec: ObjectSpec,
    names: &BTreeSet<String>,
) -> Result<ObjectKind, MappingError> {
    let word = |key: String, word: &str| match is_word(word) {
        true => Ok(()),
        false => Err(MappingError::invalid(file, key, "use a to z, 0 to 9 and _ only")),
    };
    word(sync_type.clone(), &sync_type)?;
    word(format!("{sync_type}.group"), &spec.group)?;
    word(format!("{sync_type}.key"), &spec.key)?;
    let mut seen = BTreeSet::from([spec.key.clone()]);
    for property in &spec.properties {
        let key = format!("{sync_type}.properties.{}", property.name);
        word(key.clone(), &property.name)?;
        if !seen.insert(property.name.clone()) {
            return Err(MappingError::invalid(
                file,
                key,
                "is listed twice, or is the key: keep one",
            ));
        }
        check_types(file, &key, property)?;
    }
    let mut slots = Vec::new();
    for (name, slot) in spec.slots {
        let key = format!("{sync_type}.slots.{name}");
        word(key.clone(), &name)?;
        if !names.contains(&slot.target) {
            let problem = format!("no object `{}` here: add its table", slot.target);
            return Err(MappingError::invalid(file, format!("{key}.target"), problem));
        }
        let SlotSpec { target, type_id, also_drop } = slot;
        slots.push(Slot { name, target, type_id, also_drop });
    }
    Ok(ObjectKind {
        sync_type,
        plural: spec.plural,
        type_id: spec.type_id,
        order: spec.order,
        group: spec.group,
        key: spec.key,
        required_on_create: spec.required_on_create,
        on_missing: spec.on_missing,
        custom_properties: spec.properties.into_iter().map(custom_property).collect(),
        slots,
        email_property: spec.email_property,
        stage: spec.stage,
        erasable: spec.erasable,
        lifecycle: spec.lifecycle,
    })
}

fn check_types(file: &str, key: &str, property: &PropertySpec) -> Result<(), MappingError> {
    let fields = FIELD_TYPES.iter().find(|(name, _)| *name == property.property_type);
    let Some((_, fields)) = fields else {
        let known = FIELD_TYPES.map(|(name, _)| name).join(", ");
        let problem = format!("unknown type: use one of {known}");
        return Err(MappingError::invalid(file, format!("{key}.type"), problem));
    };
    if !fields.contains(&property.field.as_str()) {
        let problem = format!("does not go with the type: use one of {}", fields.join(", "));
        return Err(MappingError::invalid(file, format!("{key}.field"), problem));
    }
    if (property.property_type == "enumeration") == property.options.is_empty() {
        let problem = "an enumeration has options, and nothing else has: add or remove them";
        return Err(MappingError::invalid(file, format!("{key}.options"), problem));
    }
    Ok(())
}

fn custom_property(spec: PropertySpec) -> CustomProperty {
    CustomProperty {
        name: spec.name,
        label: spec.label,
        property_type: spec.property_type,
        field_type: spec.field,
        description: spec.description,
        options: spec.options.into_iter().map(|option| (option.value, option.label)).collect(),
    }
}
