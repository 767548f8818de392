//! Refuses keys that no setting has, most likely typing errors.

use std::sync::LazyLock;

use figment::Figment;
use figment::error::Kind;
use figment::value::Value;

use super::sections::{Database, HubSpot, Ingest, Log, MappingFiles, Security, Server, Worker};
use crate::settings::SPECS;

/// The sections with the keys that stay the same while the service runs.
const FIXED: [(&str, &[&str]); 8] = [
    ("server", Server::KEYS),
    ("database", Database::KEYS),
    ("hubspot", HubSpot::KEYS),
    ("worker", Worker::KEYS),
    ("ingest", Ingest::KEYS),
    ("mapping", MappingFiles::KEYS),
    ("log", Log::KEYS),
    ("security", Security::KEYS),
];

/// All sections with all their keys.
static KNOWN: LazyLock<Vec<(&'static str, Vec<&'static str>)>> = LazyLock::new(|| {
    let fixed = FIXED.iter().map(|(section, keys)| (*section, keys.to_vec()));
    let mut known: Vec<(&str, Vec<&str>)> = fixed.collect();
    for (section, key) in SPECS.iter().filter_map(|spec| spec.key.split_once('.')) {
        match known.iter_mut().find(|(name, _)| *name == section) {
            Some((_, keys)) => keys.push(key),
            None => known.push((section, vec![key])),
        }
    }
    known
});
static SECTIONS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| KNOWN.iter().map(|(section, _)| *section).collect());

/// Checks that every section and every key is known.
///
/// # Errors
/// Names the first one that is not, where it was set, and what could stand there.
pub(super) fn check(figment: &Figment) -> Result<(), figment::Error> {
    let whole = figment.find_value("")?;
    for (section, value) in whole.as_dict().into_iter().flatten() {
        let Some((_, known)) = KNOWN.iter().find(|(name, _)| name == section) else {
            let kind = Kind::UnknownField(section.clone(), &SECTIONS);
            return Err(error(figment, &[section], value, kind));
        };
        let Some(keys) = value.as_dict() else {
            let kind = Kind::InvalidType(value.to_actual(), "a section of settings".into());
            return Err(error(figment, &[section], value, kind));
        };
        if let Some((key, value)) = keys.iter().find(|(key, _)| !known.contains(&key.as_str())) {
            let kind = Kind::UnknownField(key.clone(), known);
            return Err(error(figment, &[section, key], value, kind));
        }
    }
    Ok(())
}

fn error(figment: &Figment, path: &[&String], value: &Value, kind: Kind) -> figment::Error {
    let mut error = figment::Error::from(kind);
    error.path = path.iter().map(|name| (*name).clone()).collect();
    error.profile = Some(figment::Profile::Default);
    error.metadata = metadata(figment, value);
    error
}

/// Where a value was set. A table has no place of its own, so that of a value in it counts.
fn metadata(figment: &Figment, value: &Value) -> Option<figment::Metadata> {
    let inner = || value.as_dict()?.values().find_map(|value| metadata(figment, value));
    figment.get_metadata(value.tag()).cloned().or_else(inner)
}
