//! Pick lists translate a word of the application into a HubSpot option.

use std::collections::BTreeMap;

use super::{Invalid, Outcome};

/// What to do with a word that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnUnknown {
    /// Treat the value as invalid.
    #[default]
    Invalid,
    /// Leave the property alone.
    Skip,
    /// Clear the property, so that the option of an earlier word does not stay.
    Clear,
}

/// A table of options. Case, hyphens, underscores and spaces in keys do not matter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    by_key: BTreeMap<String, String>,
    keys: Vec<String>,
    default: Option<String>,
}

impl Options {
    /// Builds the table. The error is a key that occurs twice.
    pub(crate) fn new(
        options: &BTreeMap<String, String>,
        default: Option<String>,
    ) -> Result<Self, String> {
        let mut by_key = BTreeMap::new();
        for (key, value) in options {
            if by_key.insert(plain(key), value.clone()).is_some() {
                return Err(key.clone());
            }
        }
        Ok(Self { by_key, keys: options.keys().cloned().collect(), default })
    }
}

/// A table, and what to do with words that it does not contain.
#[derive(Debug, Clone)]
pub(crate) struct PickRule {
    pub(crate) options: Options,
    pub(crate) on_unknown: OnUnknown,
}

impl PickRule {
    pub(super) fn apply(&self, text: &str) -> Result<Outcome, Invalid> {
        let known = self.options.by_key.get(&plain(text)).or(self.options.default.as_ref());
        match (known, self.on_unknown) {
            (Some(option), _) => Ok(Outcome::Set(option.clone())),
            (None, OnUnknown::Skip) => Ok(Outcome::Leave),
            (None, OnUnknown::Clear) => Ok(Outcome::Set(String::new())),
            (None, OnUnknown::Invalid) => {
                let reason = format!("must be one of {}", self.options.keys.join(", "));
                Err(Invalid::new("unknown_option", reason))
            }
        }
    }
}

impl PickRule {
    /// Returns the options that the table can produce.
    pub(crate) fn options(&self) -> Vec<&str> {
        let options = self.options.by_key.values().chain(&self.options.default);
        options.map(String::as_str).collect()
    }
}

fn plain(key: &str) -> String {
    let words = key.split(|c: char| c.is_whitespace() || c == '-' || c == '_');
    let words: Vec<_> = words.filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    words.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(default: Option<&str>, on_unknown: OnUnknown) -> PickRule {
        let options = [("in_progress", "3"), ("Closed", "4")];
        let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        PickRule {
            options: Options::new(&options, default.map(str::to_owned)).unwrap(),
            on_unknown,
        }
    }

    #[test]
    fn keys_are_compared_loosely() {
        let rule = rule(None, OnUnknown::Invalid);
        for word in ["in_progress", "In Progress", "IN-PROGRESS", " in  progress "] {
            assert_eq!(rule.apply(word), Ok(Outcome::Set("3".into())), "{word}");
        }
        let twice = [("a b".to_owned(), String::new()), ("A_B".to_owned(), String::new())].into();
        assert!(Options::new(&twice, None).is_err());
    }

    #[test]
    fn an_unknown_word_is_invalid_or_skipped_or_clears_or_takes_the_default() {
        let apply = |default, on_unknown| rule(default, on_unknown).apply("lost");
        let invalid = apply(None, OnUnknown::Invalid).unwrap_err();
        assert_eq!(invalid.code, "unknown_option");
        assert_eq!(invalid.reason, "must be one of Closed, in_progress");
        assert_eq!(apply(None, OnUnknown::Skip), Ok(Outcome::Leave));
        assert_eq!(apply(None, OnUnknown::Clear), Ok(Outcome::Set(String::new())));
        assert_eq!(apply(Some("1"), OnUnknown::Invalid), Ok(Outcome::Set("1".into())));
    }
}
