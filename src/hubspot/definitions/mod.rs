//! Reads the account's definitions: properties, groups, pipelines and currencies.

mod cache;
mod create;

use std::collections::{BTreeMap, BTreeSet};

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hubspot::account::details;
use crate::hubspot::classify::{Blame, Failure};
use crate::hubspot::client::{Call, Sender};
use crate::hubspot::paths::Version;
use crate::mapping::{Mapping, ObjectKind, StageProperties};

pub use cache::DefinitionCache;
pub use create::{NewProperty, create_group, create_property, has_group};

/// The property that holds an amount's currency. The account lists the possible ones.
pub const CURRENCY: &str = "deal_currency_code";

/// One value that a property takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// HubSpot's internal value, which is sent.
    pub value: String,
    /// The label that people see. They can change it at any time.
    pub label: String,
}

/// The parts of a property definition that hubferry needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Property {
    /// HubSpot's type: `string`, `number`, `enumeration` …
    pub property_type: String,
    /// HubSpot's field type: `text`, `select`, `checkbox` (several values at once) …
    pub field_type: String,
    /// Whether values must be unique. This is fixed at creation.
    pub unique: bool,
    /// Whether HubSpot computes the value, or does not let anybody write it.
    pub read_only: bool,
    /// The options, in the order in which people see them. Empty if HubSpot does not list them.
    pub options: Vec<Choice>,
}

/// Property definitions by name.
pub type Properties = BTreeMap<String, Property>;

/// The stages of each pipeline in their order, by pipeline id.
pub type Pipelines = BTreeMap<String, Vec<Choice>>;

/// The account's definitions of one object kind, and the properties that rows cannot do without.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definitions {
    /// The properties. The options of pipeline, stage and currency come from the account, if they
    /// could be read.
    pub properties: Properties,
    /// The pipelines. Empty if the kind has none or they could not be read.
    pub pipelines: Pipelines,
    /// The names of the pipeline and stage properties, for kinds that have them.
    pub stage: Option<StageProperties>,
    /// Properties without which a row is not sent.
    pub required: BTreeSet<String>,
    /// The account's time zone, which decides when a day begins.
    #[serde(with = "time_zone")]
    pub time_zone: Tz,
}

/// Stores a time zone by its name.
mod time_zone {
    use chrono_tz::Tz;
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(zone: &Tz, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(zone.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Tz, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Reads the account's definitions of `object`. Pipelines and currencies are optional and left out
/// if the token may not read them.
///
/// # Errors
/// The classified failure of reading the properties, or of HubSpot as a whole.
pub async fn definitions(
    sender: &impl Sender,
    version: &Version,
    mapping: &Mapping,
    object: &ObjectKind,
) -> Result<Definitions, Failure> {
    let mut properties = properties(sender, version, &object.plural).await?;
    let mut required = mapping.required(&object.sync_type);
    required.extend(object.required_on_create.iter().flatten().cloned());
    let mut pipelines = Pipelines::new();
    if let Some(names) = &object.stage {
        let read = pipelines_of(sender, version, &object.plural).await;
        let read = without(read)?.unwrap_or_default();
        let choices: Vec<Choice> = read.iter().map(|(choice, _)| choice.clone()).collect();
        let stages = read.iter().flat_map(|(_, stages)| stages.clone()).collect();
        for (name, options) in [(&names.pipeline, choices), (&names.stage, stages)] {
            replace_options(&mut properties, name, options);
            required.insert(name.clone());
        }
        pipelines = read.into_iter().map(|(choice, stages)| (choice.value, stages)).collect();
    }
    let dated = properties.iter().any(|(name, property)| {
        matches!(property.property_type.as_str(), "date" | "datetime")
            && mapping.names(&object.sync_type, name)
    });
    let account = match dated || properties.contains_key(CURRENCY) {
        true => without(details(sender, version).await)?,
        false => None,
    };
    let time_zone = account.as_ref().and_then(|account| account.time_zone.parse().ok());
    if properties.contains_key(CURRENCY) {
        let currencies = account.map(|a| a.currencies).unwrap_or_default();
        let choice = |code: String| Choice { label: code.clone(), value: code };
        replace_options(&mut properties, CURRENCY, currencies.into_iter().map(choice).collect());
        // An amount without its currency would be wrong.
        required.insert(CURRENCY.to_owned());
    }
    let stage = object.stage.clone();
    let time_zone = time_zone.unwrap_or_default();
    Ok(Definitions { properties, pipelines, stage, required, time_zone })
}

/// Returns `None` if the token may not read something optional.
fn without<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(read) => Ok(Some(read)),
        Err(failure) => match failure.class.blame() {
            Blame::Transient | Blame::Throttled => Err(failure),
            Blame::Rejected | Blame::Misconfigured => Ok(None),
        },
    }
}

fn replace_options(properties: &mut Properties, name: &str, options: Vec<Choice>) {
    if let Some(definition) = properties.get_mut(name).filter(|_| !options.is_empty()) {
        definition.property_type = "enumeration".into();
        definition.field_type = "select".into();
        definition.options = options;
    }
}

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
    Ok(list(&body, "results").iter().filter_map(property).collect())
}

fn property(value: &Value) -> Option<(String, Property)> {
    let flag = |pointer: &str| value.pointer(pointer).and_then(Value::as_bool).unwrap_or(false);
    // HubSpot stores such options (for example owners) elsewhere, so the list here means nothing.
    let external = flag("/externalOptions");
    let definition = Property {
        property_type: text(value, "type").unwrap_or_default(),
        field_type: text(value, "fieldType").unwrap_or_default(),
        unique: flag("/hasUniqueValue"),
        read_only: flag("/modificationMetadata/readOnlyValue") || flag("/calculated"),
        options: if external { Vec::new() } else { choices(value, "options", "value") },
    };
    Some((text(value, "name")?, definition))
}

/// Returns the choices in `list`, in the order in which people see them.
fn choices(value: &Value, key: &str, id: &str) -> Vec<Choice> {
    let mut found: Vec<(i64, Choice)> = list(value, key)
        .iter()
        .filter_map(|item| {
            let value = text(item, id)?;
            let label = text(item, "label").unwrap_or_else(|| value.clone());
            let order = item.get("displayOrder").and_then(Value::as_i64).filter(|n| *n >= 0);
            Some((order.unwrap_or(i64::MAX), Choice { value, label }))
        })
        .collect();
    found.sort_by_key(|(order, _)| *order);
    found.into_iter().map(|(_, choice)| choice).collect()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn list(value: &Value, key: &str) -> Vec<Value> {
    value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Reads the pipelines of an object type, each with its stages.
///
/// # Errors
/// The classified failure.
pub async fn pipelines_of(
    sender: &impl Sender,
    version: &Version,
    plural: &str,
) -> Result<Vec<(Choice, Vec<Choice>)>, Failure> {
    let call = Call::get(version.pipelines(plural), &format!("read pipelines of {plural}"));
    let body = sender.send(call).await.result?;
    let stages: BTreeMap<String, Vec<Choice>> = list(&body, "results")
        .iter()
        .filter_map(|pipeline| Some((text(pipeline, "id")?, choices(pipeline, "stages", "id"))))
        .collect();
    let pipelines = choices(&body, "results", "id").into_iter();
    Ok(pipelines
        .map(|choice| {
            let stages = stages.get(&choice.value).cloned().unwrap_or_default();
            (choice, stages)
        })
        .collect())
}
