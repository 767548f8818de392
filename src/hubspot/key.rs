//! The value of `hubferry_id`, the key that identifies a record in HubSpot.

use sha2::{Digest, Sha256};

/// The longest id that is used as its own key. HubSpot does not document how it compares, trims or
/// limits unique values, so only ids that it cannot change are used as they are.
const LONGEST: usize = 100;

/// Returns the key of `external_id`. It is the id itself if that has at most 100 characters out of
/// `a-z 0-9 . _ : -`, and otherwise a hash of it. The `namespace` and a colon come first, if there
/// is one.
///
/// A hash starts with `sha256:`. An id that looks like a hash is hashed too, so that two ids never
/// share a key.
#[must_use]
pub fn key(namespace: Option<&str>, external_id: &str) -> String {
    let prefix = namespace.map(|n| format!("{n}:")).unwrap_or_default();
    let plain = !external_id.is_empty()
        && external_id.len() + prefix.len() <= LONGEST
        && !external_id.starts_with("sha256:")
        && external_id
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b':' | b'-'));
    if plain {
        return format!("{prefix}{external_id}");
    }
    let digest = Sha256::digest(external_id.as_bytes());
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{prefix}sha256:{hex}")
}

#[cfg(test)]
mod tests {
    use super::key;

    #[test]
    fn a_plain_id_is_its_own_key_and_anything_else_is_hashed() {
        assert_eq!(key(None, "u-1001"), "u-1001");
        assert_eq!(key(Some("eu"), "u-1001"), "eu:u-1001");
        for odd in ["U-1001", "é", "a b", &"x".repeat(101), "sha256:00", ""] {
            let hashed = key(None, odd);
            assert!(hashed.starts_with("sha256:") && hashed.len() == 71, "{odd}: {hashed}");
        }
        assert_ne!(key(None, "U-1"), key(None, "u-1"));
    }
}
