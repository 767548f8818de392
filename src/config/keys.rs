//! Which keys are strong enough.

use std::collections::BTreeSet;

use secrecy::{ExposeSecret, SecretString};

use super::{ConfigError, invalid};

/// The least number of characters in a key of the settings, and of different characters.
const KEY_LENGTH: usize = 32;
const KEY_VARIETY: usize = 16;

/// Whether `key` is hard to guess. Hexadecimal digits have less variety than required, but enough
/// of them make up for it: 64 of them are 256 bits.
fn is_strong(key: &str) -> bool {
    let different = key.chars().collect::<BTreeSet<char>>().len();
    let digits = key.len() >= 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    key.chars().count() >= KEY_LENGTH && different >= if digits { 10 } else { KEY_VARIETY }
}

/// Checks that a key is set and long enough.
pub(super) fn good_key(key: &'static str, value: &Option<SecretString>) -> Result<(), ConfigError> {
    match value {
        None => Err(ConfigError::Missing {
            key,
            way_out: format!("make one with `export {key}=$(openssl rand -base64 32)`"),
        }),
        Some(value) if !is_strong(value.expose_secret()) => Err(invalid(
            key,
            format!(
                "must have at least {KEY_LENGTH} characters, {KEY_VARIETY} of them different: \
                 make one with `export {key}=$(openssl rand -base64 32)`"
            ),
        )),
        Some(_) => Ok(()),
    }
}
