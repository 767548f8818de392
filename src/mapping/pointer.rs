//! JSON pointers into an event's data, which tell an absent value from null.
//!
//! The difference matters: null clears a property, and an absent value leaves it alone. A null on
//! the way (`"address": null`) makes everything below it null.

use serde_json::{Map, Value};

/// A parsed RFC 6901 pointer with at least one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    tokens: Vec<String>,
}

/// What a pointer finds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found<'a> {
    /// There is no such member.
    Absent,
    /// The member, or one above it, is null.
    Null,
    /// The value, never null.
    Value(&'a Value),
    /// A value on the way is neither object nor array; contains its pointer.
    Blocked(String),
}

/// Whether a text is empty or has only blank characters.
pub(crate) fn is_blank(text: &str) -> bool {
    super::transform::trim(text).is_empty()
}

impl Pointer {
    /// Parses `/a/b`. The error explains what a pointer looks like.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "must be a JSON pointer into `data`, such as \"/address/city\"".to_owned();
        let tokens: Vec<&str> = text.strip_prefix('/').ok_or_else(wrong)?.split('/').collect();
        if tokens.iter().any(|token| token.is_empty() || token.ends_with('~')) {
            return Err(wrong());
        }
        let tokens = tokens.iter().map(|token| token.replace("~1", "/").replace("~0", "~"));
        Ok(Self { text: text.to_owned(), tokens: tokens.collect() })
    }

    /// The pointer as written in the file.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The pointer relative to the event.
    pub(crate) fn in_event(&self) -> String {
        format!("/data{}", self.text)
    }

    /// Finds the value in `data`.
    pub(crate) fn find<'a>(&self, data: &'a Map<String, Value>) -> Found<'a> {
        let mut found = self.tokens.first().and_then(|token| data.get(token));
        for (depth, token) in self.tokens.iter().enumerate().skip(1) {
            found = match found {
                Some(Value::Object(members)) => members.get(token),
                Some(Value::Array(items)) => token.parse().ok().and_then(|i: usize| items.get(i)),
                Some(Value::Null) => return Found::Null,
                Some(_) => return Found::Blocked(self.prefix(depth)),
                None => return Found::Absent,
            };
        }
        match found {
            Some(Value::Null) => Found::Null,
            Some(value) => Found::Value(value),
            None => Found::Absent,
        }
    }

    /// Stores `value` at this place and creates objects on the way as needed.
    pub(crate) fn put(&self, data: &mut Map<String, Value>, value: Value) {
        let Some((last, way)) = self.tokens.split_last() else { return };
        let mut members = data;
        for token in way {
            let next = members.entry(token.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(deeper) = next else { return };
            members = deeper;
        }
        members.insert(last.clone(), value);
    }

    /// Whether the value at this place is not blank.
    pub(crate) fn holds(&self, data: &Map<String, Value>) -> bool {
        matches!(self.find(data), Found::Value(value) if !value.as_str().is_some_and(is_blank))
    }

    fn prefix(&self, depth: usize) -> String {
        let tokens: Vec<_> = self.text.split('/').take(depth + 1).collect();
        format!("/data{}", tokens.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn absent_null_value_and_blocked_are_told_apart() {
        let data = json!({"a": {"b": 1, "n": null, "x/y": 2}, "t": "text", "n": null, "l": [5]});
        let (b, l, slash) = (json!(1), json!(5), json!(2));
        for (pointer, found) in [
            ("/a/b", Found::Value(&b)),
            ("/l/0", Found::Value(&l)),
            ("/a/x~1y", Found::Value(&slash)),
            ("/a/n", Found::Null),
            ("/n", Found::Null),
            ("/n/deeper/still", Found::Null),
            ("/z", Found::Absent),
            ("/a/z/deeper", Found::Absent),
            ("/l/1", Found::Absent),
            ("/l/x", Found::Absent),
            ("/t/deeper", Found::Blocked("/data/t".into())),
            ("/a/b/deeper", Found::Blocked("/data/a/b".into())),
        ] {
            let data = data.as_object().unwrap();
            assert_eq!(Pointer::parse(pointer).unwrap().find(data), found, "{pointer}");
        }
    }

    #[test]
    fn malformed_pointers_are_refused() {
        for text in ["", "a", "/", "/a/", "a/b", "/a~"] {
            assert!(Pointer::parse(text).is_err(), "{text}");
        }
    }
}
