//! Estimates the least size of an event from its text, before any value is built from it.
//!
//! As values in memory, `{"a":1}` takes a hundred times as much as it does as text.

use super::{Fault, MAX_EVENT_BYTES};

/// How many objects and lists an event may contain.
const MAX_NODES: usize = 10_000;

/// Returns a fault for an event that is certainly too large. An event that seems smaller is
/// measured exactly when it is admitted.
pub fn is_too_large(index: usize, text: &str) -> Option<Fault> {
    // A shorter text cannot contain more, since each takes at least two bytes.
    if text.len() <= 2 * MAX_NODES {
        return None;
    }
    let Weight { bytes, nodes } = least(text);
    if bytes > MAX_EVENT_BYTES {
        return Some(too_large(index));
    }
    let detail = "an event may hold at most 10,000 objects and lists";
    (nodes > MAX_NODES).then(|| Fault::new(index, "", "event_too_large", detail))
}

/// The measured size of an event.
struct Weight {
    /// The least number of bytes that its canonical form can have.
    bytes: usize,
    /// The number of its objects and lists.
    nodes: usize,
}

pub(super) fn too_large(index: usize) -> Fault {
    Fault::new(index, "", "event_too_large", "an event may be at most 256 KiB")
}

/// Measures `text`, which must be JSON: its punctuation, one byte for each number or word, and the
/// characters of its strings.
fn least(text: &str) -> Weight {
    let mut bytes = text.bytes();
    let (mut least, mut nodes, mut in_word) = (0, 0, false);
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                in_word = false;
                least += 2;
                while let Some(within) = bytes.next() {
                    match within {
                        b'"' => break,
                        // An escape such as `\u0041` is at least one character.
                        b'\\' if bytes.next() == Some(b'u') => {
                            bytes.nth(3);
                            least += 1;
                        }
                        _ => least += 1,
                    }
                }
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => {
                in_word = false;
                least += 1;
                nodes += usize::from(matches!(byte, b'{' | b'['));
            }
            b' ' | b'\t' | b'\n' | b'\r' => in_word = false,
            // Canonical numbers can be shorter: 1.000 becomes 1.
            _ => {
                least += usize::from(!in_word);
                in_word = true;
            }
        }
    }
    Weight { bytes: least, nodes }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn no_text_is_taken_for_larger_than_its_canonical_form() {
        for text in [
            r#" { "a" : [ 1.0000, true , null, "\u0041\n\"\\" , {} ], "" : -1e0 } "#,
            r#""\u00e9\ud83d\ude00é""#,
            "[[],[[]],12345678901234567890]",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert!(least(text).bytes <= value.to_string().len(), "{text}");
        }
        let value = json!({ "a": [1, "two"], "b": { "c": null } });
        // `null` counts as one byte.
        assert_eq!(least(&value.to_string()).bytes, value.to_string().len() - 3);
    }

    #[test]
    fn what_is_large_by_its_blanks_only_is_not_too_large() {
        assert!(is_too_large(0, &format!("{{{}}}", " ".repeat(MAX_EVENT_BYTES))).is_none());
        let many = format!("[{}1]", r#"{"a":1},"#.repeat(MAX_EVENT_BYTES / 8));
        assert_eq!(is_too_large(7, &many).unwrap().index, 7);
        let nodes = |count: usize| format!("[{}]", vec![r#"{"[":1}"#; count].join(","));
        assert!(is_too_large(0, &nodes(MAX_NODES - 1)).is_none());
        assert!(is_too_large(0, &nodes(MAX_NODES)).unwrap().detail.contains("10,000 objects"));
    }
}
