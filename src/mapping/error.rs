//! Why mapping files cannot be used: always the file, the key, and the way out.

use std::path::PathBuf;

/// A set of mapping files that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MappingError {
    /// A file or the directory cannot be read.
    #[error("{} cannot be read: check that it exists and that we may read it", path.display())]
    Read {
        /// What was to be read.
        path: PathBuf,
        /// Why it was not.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, or a key that the grammar does not have.
    #[error("{file} does not follow the grammar: {message}")]
    Syntax {
        /// The file.
        file: String,
        /// The parser's words: line, key, and the keys that are allowed.
        message: String,
    },
    /// The grammar is followed, the meaning is not sound.
    #[error("{file}, {key}: {problem}")]
    Invalid {
        /// The file.
        file: String,
        /// The key, as a dotted path.
        key: String,
        /// What is wrong and what to do about it.
        problem: String,
    },
    /// An example does not come out as it says.
    #[error("{file}, examples[{index}] ({event_type}): {problem}; mend the example or the fields")]
    Example {
        /// The file.
        file: String,
        /// Its place in the file, from zero.
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
