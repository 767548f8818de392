//! Property definitions: the built-in ones and those added later.
//!
//! The built-in ones are data files in `defaults/`. Options that depend on the account (pipelines,
//! stages, currencies) are filled in when a schema is loaded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::pipelines::Pipeline;
use crate::kinds::Kind;

use crate::clock::EPOCH;

/// The definition of a property, in the form used in replies.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Property {
    pub(crate) name: String,
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) value_type: String,
    pub(crate) field_type: String,
    pub(crate) description: String,
    pub(crate) group_name: String,
    pub(crate) options: Vec<PropertyOption>,
    pub(crate) display_order: i64,
    pub(crate) calculated: bool,
    pub(crate) external_options: bool,
    pub(crate) has_unique_value: bool,
    pub(crate) hidden: bool,
    pub(crate) hubspot_defined: bool,
    pub(crate) modification_metadata: Modification,
    pub(crate) form_field: bool,
    pub(crate) data_sensitivity: &'static str,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
    pub(crate) archived: bool,
}

/// One value that an enumeration allows.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PropertyOption {
    pub(crate) label: String,
    pub(crate) value: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) display_order: i64,
    #[serde(default)]
    pub(crate) hidden: bool,
}

/// Which parts of a property may be changed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Modification {
    pub(crate) archivable: bool,
    pub(crate) read_only_definition: bool,
    pub(crate) read_only_value: bool,
}

/// A group of properties.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) label: String,
    pub(crate) display_order: i64,
    pub(crate) archived: bool,
}

/// All definitions of one object kind.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    pub(crate) properties: BTreeMap<String, Property>,
    pub(crate) groups: BTreeMap<String, Group>,
}

/// One entry of a data file.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Builtin {
    name: String,
    label: String,
    #[serde(rename = "type")]
    value_type: String,
    field: String,
    #[serde(default)]
    read_only: bool,
    #[serde(default)]
    calculated: bool,
    #[serde(default)]
    external: bool,
    /// `value` or `value|label`.
    #[serde(default)]
    options: Vec<String>,
    #[serde(default)]
    pipelines: bool,
    #[serde(default)]
    stages: bool,
    #[serde(default)]
    currencies: bool,
}

impl Schema {
    /// Returns the definitions of a new account.
    pub(crate) fn builtin(kind: Kind, pipelines: &[Pipeline], currencies: &[String]) -> Self {
        let data = match kind {
            Kind::Contact => include_str!("../defaults/contacts.json"),
            Kind::Company => include_str!("../defaults/companies.json"),
            Kind::Deal => include_str!("../defaults/deals.json"),
            Kind::Ticket => include_str!("../defaults/tickets.json"),
            Kind::Note => include_str!("../defaults/notes.json"),
        };
        // A test loads every file, so a broken one is noticed.
        let entries: Vec<Builtin> = serde_json::from_str(data).unwrap_or_default();
        let group = kind.default_group();
        let properties = entries
            .into_iter()
            .map(|entry| entry.define(&group, pipelines, currencies))
            .map(|p| (p.name.clone(), p))
            .collect();
        let label = format!("{} information", capitalised(kind.singular()));
        let first = Group { name: group.clone(), label, display_order: 0, archived: false };
        Self { properties, groups: BTreeMap::from([(group, first)]) }
    }

    /// Returns a definition that is not archived.
    pub(crate) fn live(&self, name: &str) -> Option<&Property> {
        self.properties.get(name).filter(|p| !p.archived)
    }

    /// The properties with unique values, except for the e-mail address.
    pub(crate) fn unique_names(&self) -> impl Iterator<Item = &str> {
        self.properties
            .values()
            .filter(|p| p.has_unique_value && !p.archived)
            .map(|p| p.name.as_str())
    }
}

impl Builtin {
    fn define(self, group: &str, pipelines: &[Pipeline], currencies: &[String]) -> Property {
        let mut options: Vec<(String, String)> = self
            .options
            .iter()
            .map(|o| match o.split_once('|') {
                Some((value, label)) => (value.to_owned(), label.to_owned()),
                None => (o.clone(), capitalised(&o.replace('_', " "))),
            })
            .collect();
        if self.pipelines {
            options.extend(pipelines.iter().map(|p| (p.id.clone(), p.label.clone())));
        }
        if self.stages {
            let stages = pipelines.iter().flat_map(|p| &p.stages);
            options.extend(stages.map(|s| (s.id.clone(), s.label.clone())));
        }
        if self.currencies {
            options.extend(currencies.iter().map(|c| (c.clone(), c.clone())));
        }
        if self.value_type == "bool" {
            options = vec![("true".into(), "Yes".into()), ("false".into(), "No".into())];
        }
        Property {
            name: self.name,
            label: self.label,
            value_type: self.value_type,
            field_type: self.field,
            description: String::new(),
            group_name: group.to_owned(),
            options: (0..)
                .zip(options)
                .map(|(n, (value, label))| option(n, value, label))
                .collect(),
            display_order: -1,
            calculated: self.calculated,
            external_options: self.external,
            has_unique_value: false,
            hidden: false,
            hubspot_defined: true,
            modification_metadata: Modification {
                archivable: false,
                read_only_definition: true,
                read_only_value: self.read_only || self.calculated,
            },
            form_field: !self.read_only,
            data_sensitivity: "non_sensitive",
            created_at: EPOCH.into(),
            updated_at: EPOCH.into(),
            archived: false,
        }
    }
}

fn option(display_order: i64, value: String, label: String) -> PropertyOption {
    PropertyOption { label, value, description: String::new(), display_order, hidden: false }
}

fn capitalised(words: &str) -> String {
    let lower = words.to_lowercase();
    let mut chars = lower.chars();
    chars.next().map_or_else(String::new, |c| c.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_schema_loads() {
        for kind in Kind::ALL {
            let schema = Schema::builtin(kind, &[], &[]);
            assert!(schema.live("hs_object_id").is_some(), "{kind:?}");
            assert!(schema.live(kind.modified_property()).is_some(), "{kind:?}");
        }
        let companies = Schema::builtin(Kind::Company, &[], &[]);
        assert_eq!(companies.properties["industry"].options.len(), 148);
    }
}
