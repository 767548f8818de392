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
    /// An invalid value refuses the event; else it is left out with a warning.
    pub(super) refuse: bool,
    /// By verb: the text where the data says nothing, or null.
    pub(super) when_absent: BTreeMap<String, String>,
}

/// Where the text comes from.
#[derive(Debug, Clone)]
pub(super) enum Source {
    /// The file itself.
    Constant(String),
    /// The settings; such properties are no part of what an example promises.
    Setting(String),
    /// One value: the first of these places, at least one, that holds something.
    One { from: Vec<Pointer>, transform: Transform },
    /// Several places, joined; `main` is the part without which the rest says nothing.
    Join { parts: Vec<Pointer>, main: usize, separator: String },
}

impl Source {
    /// The places without whose value there is none.
    pub(super) fn own(&self) -> &[Pointer] {
        match self {
            Self::Constant(_) | Self::Setting(_) => &[],
            Self::One { from, .. } => from,
            Self::Join { parts, main, .. } => parts.get(*main..=*main).unwrap_or_default(),
        }
    }

    /// Where it looks: its own places first.
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

    /// The texts that it can come to, where the file itself lists them.
    pub(super) fn written(&self) -> Vec<&str> {
        match self {
            Self::Constant(text) => vec![text],
            Self::One { transform: Transform::Pick(rule), .. } => rule.options(),
            Self::One { .. } | Self::Setting(_) | Self::Join { .. } => Vec::new(),
        }
    }
}
