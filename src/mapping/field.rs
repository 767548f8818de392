//! A compiled field: where a property's text comes from, and what becomes of an invalid value.

use std::collections::BTreeMap;

use super::pointer::Pointer;
use super::transform::Transform;

/// One property that a file writes.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) property: String,
    pub(super) source: Source,
    /// Must be there and valid on `created`, and is never cleared.
    pub(super) required: bool,
    /// Whether an invalid value refuses the event. Otherwise it is left out with a warning.
    pub(super) refuse: bool,
    /// The text to use when the data has no value or null, by verb.
    pub(super) when_absent: BTreeMap<String, String>,
}

/// Where the text comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// A constant in the file itself.
    Constant(String),
    /// A setting. Examples do not check properties that come from settings.
    Setting(String),
    /// One value: the first of these places that has one. There is at least one place.
    One { from: Vec<Pointer>, transform: Transform },
    /// Several values, joined. Without the part `main`, the others mean nothing.
    Join { parts: Vec<Pointer>, main: usize, separator: String },
}

impl Source {
    /// Returns the places that the field cannot do without.
    pub(super) fn own(&self) -> &[Pointer] {
        match self {
            Self::Constant(_) | Self::Setting(_) => &[],
            Self::One { from, .. } => from,
            Self::Join { parts, main, .. } => parts.get(*main..=*main).unwrap_or_default(),
        }
    }

    /// Returns all places that the field reads, its own first.
    pub(super) fn places(&self) -> Vec<&Pointer> {
        match self {
            Self::Constant(_) | Self::Setting(_) => Vec::new(),
            Self::One { from, transform } => {
                let aside: &[Pointer] = match transform {
                    Transform::Phone(rule) => &rule.countries,
                    Transform::Decimal(rule) => &rule.currencies,
                    _ => &[],
                };
                from.iter().chain(aside).collect()
            }
            Self::Join { parts, .. } => parts.iter().collect(),
        }
    }

    /// Returns the texts that the field can produce, where the file itself lists them.
    pub(super) fn written(&self) -> Vec<&str> {
        match self {
            Self::Constant(text) => vec![text],
            Self::One { transform: Transform::Pick(rule), .. } => rule.options(),
            Self::One { .. } | Self::Setting(_) | Self::Join { .. } => Vec::new(),
        }
    }
}
