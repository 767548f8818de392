//! Properties made of several values: a phone number and its country, or the parts of a join.
//!
//! The values may arrive in several events. Each is therefore stored separately, as a part, with
//! the stamp of its event. The property is composed again whenever one of its parts changes. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::draft::Draft;
use super::field::Field;
use super::pointer::{Found, Pointer};
use super::{Mapping, Output, Warning};

/// The first character of a part's name. No property name starts with it.
const PART: char = '#';

/// The result of composing the parts of one property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Composed {
    /// The property.
    pub property: String,
    /// Its text; none if the parts do not give one.
    pub value: Option<String>,
    /// The names of the parts that the property cannot do without. The country of a phone number is
    /// not one of them.
    pub own: Vec<String>,
    /// The names of all parts that were read.
    pub parts: Vec<String>,
    /// What could not be used.
    pub warnings: Vec<Warning>,
}

/// Whether this is the name of a part. Parts exist only inside hubferry and are never sent.
#[must_use]
pub fn is_part(name: &str) -> bool {
    name.starts_with(PART)
}

impl Mapping {
    /// Composes the properties of a `sync_type` record from `parts`, given as JSON by name.
    pub fn compose(&self, sync_type: &str, parts: &BTreeMap<String, String>) -> Vec<Composed> {
        let outputs = self.outputs.iter().flat_map(|(entity, outputs)| {
            let of_kind = outputs.iter().filter(|output| output.sync_type == sync_type);
            of_kind.map(move |output| (entity, output))
        });
        outputs.flat_map(|(entity, output)| output.compose(entity, parts)).collect()
    }
}

impl Output {
    /// Returns the parts that `data` contains, by name.
    pub(super) fn parts(
        &self,
        entity: &str,
        data: &Map<String, Value>,
    ) -> BTreeMap<String, String> {
        let places = self.fields.iter().filter_map(composite).flatten();
        let known = places.filter_map(|place| match place.find(data) {
            Found::Value(value) => Some((self.part(entity, place), value.to_string())),
            Found::Null => Some((self.part(entity, place), Value::Null.to_string())),
            Found::Absent | Found::Blocked(_) => None,
        });
        known.collect()
    }

    fn compose(&self, entity: &str, parts: &BTreeMap<String, String>) -> Vec<Composed> {
        let composites = self.fields.iter().filter_map(|field| Some((field, composite(field)?)));
        let composed = composites.map(|(field, places)| {
            let mut data = Map::new();
            let mut names = Vec::new();
            for place in places {
                let name = self.part(entity, place);
                let value = parts.get(&name).and_then(|json| serde_json::from_str(json).ok());
                if let Some(value) = value {
                    place.put(&mut data, value);
                    names.push(name);
                }
            }
            let (value, warnings) = Draft::whole(field, &data);
            let own = field.source.own().iter().map(|place| self.part(entity, place));
            let own = own.filter(|name| names.contains(name)).collect();
            Composed { property: field.property.clone(), value, own, parts: names, warnings }
        });
        composed.filter(|composed| !composed.parts.is_empty()).collect()
    }

    /// The name of a part. It names the output too, unless that is the only one of its file, so
    /// that two outputs of an entity never share a part.
    fn part(&self, entity: &str, place: &Pointer) -> String {
        if self.name == self.sync_type {
            format!("{PART}{entity}{}", place.text())
        } else {
            format!("{PART}{entity}.{}{}", self.name, place.text())
        }
    }
}

/// Returns the places of a field that reads more than one.
fn composite(field: &Field) -> Option<Vec<&Pointer>> {
    Some(field.source.places()).filter(|places| places.len() > 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Vars;

    fn composed(sync_type: &str, parts: &[(&str, &str)]) -> BTreeMap<String, Option<String>> {
        let mapping = Mapping::builtin(&Vars::default()).unwrap();
        let parts = parts.iter().map(|(name, json)| ((*name).to_owned(), (*json).to_owned()));
        let composed = mapping.compose(sync_type, &parts.collect());
        composed.into_iter().map(|composed| (composed.property, composed.value)).collect()
    }

    #[test]
    fn parts_come_to_a_whole() {
        let phone = |parts: &[(&str, &str)]| composed("contact", parts).remove("phone").flatten();
        let number = ("#user/phone", "\"0171 1234567\"");
        assert_eq!(phone(&[number, ("#user/country", "\"DE\"")]).unwrap(), "+491711234567");
        assert_eq!(phone(&[number, ("#user/address/country", "\"DE\"")]).unwrap(), "+491711234567");
        // Another country, an unknown country, and no number.
        assert_eq!(phone(&[number, ("#user/country", "\"ES\"")]), None);
        assert_eq!(phone(&[number, ("#user/country", "\"Atlantis\"")]), None);
        assert_eq!(phone(&[("#user/country", "\"DE\"")]), None);
        assert_eq!(phone(&[("#user/phone", "null"), ("#user/country", "\"DE\"")]).unwrap(), "");
        // A text that is not JSON counts as absent.
        assert_eq!(phone(&[("#user/phone", "")]), None);

        let name = |parts: &[(&str, &str)]| composed("deal", parts).remove("dealname").flatten();
        let project = ("#milestone/project/name", "\"Website\"");
        assert_eq!(
            name(&[project, ("#milestone/name", "\"Design\"")]).unwrap(),
            "Website – Design"
        );
        assert_eq!(name(&[("#milestone/name", "\"Design\"")]).unwrap(), "Design");
        assert_eq!(name(&[project]), None);
    }

    #[test]
    fn no_property_is_named_like_a_part() {
        assert!(is_part("#user/phone") && !is_part("phone"));
    }
}
