//! The grammar of a mapping file as written, before its content is checked.
//!
//! Unknown keys are always errors: ignoring a misspelt key silently would lose data.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Operation;
use super::transform::OnUnknown;
use crate::event::Priority;

/// A whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SheetSpec {
    pub(super) entity: String,
    pub(super) object: String,
    pub(super) priority: Priority,
    pub(super) default_region: Option<String>,
    pub(super) verbs: BTreeMap<String, Operation>,
    #[serde(default)]
    pub(super) fields: Vec<FieldSpec>,
    #[serde(default)]
    pub(super) associations: BTreeMap<String, SlotSpec>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, TableSpec>,
    #[serde(default)]
    pub(super) examples: Vec<ExampleSpec>,
}

/// One property.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSpec {
    pub(super) property: String,
    pub(super) from: Option<From>,
    #[serde(rename = "const")]
    pub(super) constant: Option<String>,
    pub(super) var: Option<String>,
    pub(super) transform: Option<TransformName>,
    #[serde(default)]
    pub(super) required: bool,
    pub(super) on_invalid: Option<OnInvalid>,
    #[serde(default)]
    pub(super) when_absent: BTreeMap<String, String>,
    pub(super) table: Option<String>,
    pub(super) on_unknown: Option<OnUnknown>,
    pub(super) separator: Option<String>,
    pub(super) main: Option<String>,
    pub(super) country: Option<Vec<String>>,
    pub(super) currency: Option<Vec<String>>,
}

/// One pointer, or several. Several are the parts of a join, or alternatives of which the first one
/// with a value counts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum From {
    One(String),
    Parts(Vec<String>),
}

/// One association.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotSpec {
    pub(super) from: String,
    #[serde(default)]
    pub(super) on_invalid: Option<OnInvalid>,
}

/// One pick list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TableSpec {
    pub(super) default: Option<String>,
    pub(super) options: BTreeMap<String, String>,
}

/// One example. `data` is JSON text, because TOML has no null.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExampleSpec {
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) data: String,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) associations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) faults: Vec<String>,
}

/// What to do with an invalid value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnInvalid {
    Refuse,
    Drop,
}

/// The transforms by the names used in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum TransformName {
    Text,
    Multiline,
    Lower,
    Name,
    Html,
    Email,
    Phone,
    Url,
    Domain,
    Country,
    CountryCode,
    Decimal,
    Integer,
    Currency,
    Boolean,
    Date,
    Datetime,
    Pick,
    Join,
}
