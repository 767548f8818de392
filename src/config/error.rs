//! What is wrong with the settings.

use std::path::PathBuf;

use super::list;

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file does not exist or cannot be read.
    #[error("{path}: {reason}; --config names the settings file")]
    File {
        /// The file.
        path: PathBuf,
        /// Why it cannot be read.
        reason: String,
    },
    /// An unknown key, or a value of the wrong type.
    #[error("{0}; config/default.toml explains every key")]
    Value(Box<figment::Error>),
    /// A required key is not set.
    #[error("{key} is not set: {way_out}")]
    Missing {
        /// The key.
        key: &'static str,
        /// What to do.
        way_out: String,
    },
    /// A variable whose value is not valid text.
    #[error("{name} is not UTF-8 text: set it again")]
    Unreadable {
        /// The variable.
        name: String,
    },
    /// Several errors.
    #[error("{} settings are missing or wrong:{}", .0.len(), list(.0))]
    Several(Vec<ConfigError>),
    /// A value that cannot work.
    #[error("{key}: {reason}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// Why it cannot work, and which values can.
        reason: String,
    },
}
