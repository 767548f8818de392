//! The grammar of a mapping file as written, before its content is checked.
//!
//! Unknown keys are always errors: ignoring a misspelt key silently would lose data.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Operation;
use super::transform::OnUnknown;
use crate::event::Priority;

/// A whole file. It has one output, whose keys stand at the top, or a list of `[[outputs]]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSpec {
    pub(super) entity: String,
    pub(super) object: Option<String>,
    pub(super) external_id: Option<ExternalIdSpec>,
    pub(super) priority: Priority,
    pub(super) default_region: Option<String>,
    pub(super) verbs: BTreeMap<String, Operation>,
    #[serde(default)]
    pub(super) fields: Vec<FieldSpec>,
    #[serde(default)]
    pub(super) associations: BTreeMap<String, SlotSpec>,
    #[serde(default)]
    pub(super) outputs: Vec<OutputSpec>,
    #[serde(default)]
    pub(super) tables: BTreeMap<String, TableSpec>,
    #[serde(default)]
    pub(super) examples: Vec<ExampleSpec>,
}

/// One output: one change of one record.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputSpec {
    pub(super) name: String,
    pub(super) object: String,
    pub(super) external_id: Option<ExternalIdSpec>,
    #[serde(default)]
    pub(super) fields: Vec<FieldSpec>,
    #[serde(default)]
    pub(super) associations: BTreeMap<String, SlotSpec>,
}

impl FileSpec {
    /// Takes the outputs out of the file. The only output of a file without `[[outputs]]` is named
    /// after its object kind. Fails with the key that is wrong and what is wrong with it.
    pub(super) fn take_outputs(&mut self) -> Result<Vec<OutputSpec>, (&'static str, String)> {
        let outputs = std::mem::take(&mut self.outputs);
        match (self.object.take(), outputs.is_empty()) {
            (Some(object), true) => Ok(vec![OutputSpec {
                name: object.clone(),
                object,
                external_id: self.external_id.take(),
                fields: std::mem::take(&mut self.fields),
                associations: std::mem::take(&mut self.associations),
            }]),
            (None, true) => {
                let problem = "is missing: name the table of objects.toml that the entity feeds";
                Err(("object", problem.into()))
            }
            (None, false)
                if self.fields.is_empty()
                    && self.associations.is_empty()
                    && self.external_id.is_none() =>
            {
                Ok(outputs)
            }
            _ => {
                let problem = "a file with [[outputs]] has object, external_id, fields and \
                               associations in its outputs, not at the top: move them there";
                Err(("outputs", problem.into()))
            }
        }
    }
}

/// Where the external id comes from.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum ExternalIdSpec {
    Word(String),
    From(ExternalIdFrom),
}

/// The id of another entity of the application.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExternalIdFrom {
    pub(super) from: String,
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

/// One association: with the record whose id the data holds, or with the record of another output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SlotSpec {
    pub(super) from: Option<String>,
    pub(super) output: Option<String>,
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
    /// What each output makes, in a file with `[[outputs]]`.
    #[serde(default)]
    pub(super) outputs: BTreeMap<String, OutputExample>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
    #[serde(default)]
    pub(super) faults: Vec<String>,
}

/// What an example promises of one output.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutputExample {
    /// The default is the subject of every example.
    pub(super) external_id: Option<String>,
    #[serde(default)]
    pub(super) properties: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) associations: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) warnings: Vec<String>,
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
