//! The hash that tells the same event sent again from another one under the same id.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// SHA-256 of the event as sent, with keys sorted and no white space.
pub fn canonical_hash(raw: &Value) -> [u8; 32] {
    digest(&canonical_bytes(raw))
}

/// The canonical JSON: `serde_json` keeps its objects sorted, so plain writing is canonical.
pub(crate) fn canonical_bytes(raw: &Value) -> Vec<u8> {
    raw.to_string().into_bytes()
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
}
