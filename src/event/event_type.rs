//! The event type, `<entity>.<verb>`, which selects the mapping.

use std::fmt;
use std::str::FromStr;

/// The longest event type accepted, in characters.
const MAX_CHARS: usize = 100;

/// What happened to which kind of thing: `user.updated`. Both halves match `[a-z][a-z0-9_]*`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType {
    text: String,
    dot: usize,
}

/// The text does not have the form `<entity>.<verb>` in lower case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be `<entity>.<verb>` in lower case, such as `user.updated`")]
pub struct MalformedEventType;

impl EventType {
    /// The kind of thing: `user`.
    pub fn entity(&self) -> &str {
        &self.text[..self.dot]
    }

    /// What happened to it: `updated`.
    pub fn verb(&self) -> &str {
        &self.text[self.dot + 1..]
    }

    /// The whole type as it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for EventType {
    type Err = MalformedEventType;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (entity, verb) = text.split_once('.').ok_or(MalformedEventType)?;
        if text.len() > MAX_CHARS || !is_word(entity) || !is_word(verb) {
            return Err(MalformedEventType);
        }
        Ok(Self { text: text.to_owned(), dot: entity.len() })
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// Whether `word` matches `[a-z][a-z0-9_]*`, the form of entities, verbs and property names.
pub(crate) fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_type_is_an_entity_and_a_verb() {
        let kind: EventType = "user_account.signed_up2".parse().unwrap();
        assert_eq!((kind.entity(), kind.verb()), ("user_account", "signed_up2"));
        assert_eq!(kind.to_string(), "user_account.signed_up2");
    }

    #[test]
    fn anything_else_is_refused() {
        let long = format!("user.{}", "x".repeat(200));
        for text in
            ["", ".", "user", "user.", ".x", "User.x", "a.b.c", "1a.b", "a._b", "a b.c", &long]
        {
            assert!(text.parse::<EventType>().is_err(), "{text}");
        }
    }
}
