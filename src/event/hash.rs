//! The hash that tells a repeated event from a different event under the same id.

use std::io;

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, Serializer};
use sha2::{Digest, Sha256};

/// SHA-256 of the event as sent, with sorted keys and without white space.
pub fn canonical_hash(raw: &Value) -> [u8; 32] {
    digest(&canonical_bytes(raw))
}

/// Writes canonical JSON. `serde_json` keeps objects sorted, so only whole numbers sent with a
/// decimal point need special care.
pub(crate) fn canonical_bytes(raw: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing a value into memory cannot fail.
    let _ = raw.serialize(&mut Serializer::with_formatter(&mut bytes, Canonical));
    bytes
}

/// Writes `1.0` and `1` the same way: senders differ here, and so do two libraries of one sender.
struct Canonical;

impl Formatter for Canonical {
    fn write_f64<W: io::Write + ?Sized>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        // Above this limit, floating point cannot represent every whole number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        if value.fract() == 0.0 && value.abs() < EXACT {
            // Adding `0.0` removes the sign of a negative zero.
            write!(writer, "{:.0}", value + 0.0)
        } else {
            CompactFormatter.write_f64(writer, value)
        }
    }
}

/// SHA-256 of `bytes`.
pub(crate) fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_keys_does_not_matter_and_values_do() {
        let hash = |text: &str| canonical_hash(&serde_json::from_str(text).unwrap());
        let first = hash(r#"{"b":1,"a":{"y":2,"x":[1,2]}}"#);
        assert_eq!(first, hash(r#"{ "a": {"x":[1,2],"y":2}, "b":1 }"#));
        assert_ne!(first, hash(r#"{"b":1,"a":{"y":2,"x":[2,1]}}"#));
    }

    #[test]
    fn a_whole_number_is_one_with_and_without_a_point() {
        let hash = |text: &str| canonical_hash(&serde_json::from_str(text).unwrap());
        assert_eq!(hash("[1, 0, -3]"), hash("[1.0, 0.0, -3.000]"));
        assert_eq!(hash("[100]"), hash("[1e2]"));
        assert_ne!(hash("[1]"), hash("[1.5]"));
        assert_ne!(hash("[1]"), hash(r#"["1"]"#));
    }
}
