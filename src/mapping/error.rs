//! Errors that make mapping files unusable. Each names the file, the key and what to do.

use std::path::PathBuf;

/// A set of mapping files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// A file or the directory cannot be read.
    #[error("{} cannot be read: check that it exists and that we may read it", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a key that the grammar does not know.
    #[error("{file} does not follow the grammar: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The parser's message: line, key, and the allowed keys.
        message: String,
    },
    /// The file follows the grammar, but its content makes no sense.
    #[error("{file}, {key}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The key, as a dotted path.
        key: String,
        /// What is wrong and what to do about it.
        problem: String,
    },
    /// An example gives another result than it states.
    #[error(
        "{file}, examples[{index}] ({event_type}): {problem}; correct the example or the fields"
    )]
    Example {
        /// The file.
        file: String,
        /// The position of the example in the file, from zero.
        index: usize,
        /// Its event type.
        event_type: String,
        /// What differs.
        problem: String,
    },
}

impl MappingError {
    pub(super) fn invalid(file: &str, key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self::Invalid { file: file.to_owned(), key: key.into(), problem: problem.into() }
    }
}
