//! A fault: one reason why an event is refused, in the form the sender sees.

use serde::Serialize;

/// One thing wrong with one event. Neither `pointer` nor `detail` repeats a value that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The event's place in the request, from zero.
    pub index: usize,
    /// RFC 6901, relative to the event; empty for the whole of it.
    pub pointer: String,
    /// Stable, snake_case, for programs.
    pub code: String,
    /// A sentence for people.
    pub detail: String,
}

impl Fault {
    /// A fault at `pointer` of the event at `index`.
    pub fn new(
        index: usize,
        pointer: impl Into<String>,
        code: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        Self { index, pointer: pointer.into(), code: code.into(), detail: detail.into() }
    }
}

/// Appends one reference token to a JSON pointer, escaped as RFC 6901 wants it.
pub(crate) fn child(pointer: &str, token: &str) -> String {
    format!("{pointer}/{}", token.replace('~', "~0").replace('/', "~1"))
}
