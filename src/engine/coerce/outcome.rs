//! The outcome of coercing one value. Messages and hints never repeat the value, because it may be
//! personal data.

use crate::hubspot::definitions::Choice;

/// A hint lists at most this many options.
const LISTED: usize = 10;

/// What is sent instead of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The value is sent as it is.
    Unchanged,
    /// This text is sent instead. It has a note if it says less than the original value.
    Changed(String, Option<Note>),
    /// Nothing is sent, because HubSpot would refuse the value.
    Invalid(Note),
}

/// Why a value was altered or is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// HubSpot's error code if there is one, such as `INVALID_OPTION`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl Note {
    pub(crate) fn new(code: &'static str, message: &str, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

pub(crate) fn stray(code: &'static str, message: &str, options: &[Choice]) -> Note {
    let listed: Vec<&str> = options.iter().take(LISTED).map(|o| o.value.as_str()).collect();
    let more = options.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let hint = format!("use one of {}{more}, or add it in HubSpot and retry", listed.join(", "));
    Note::new(code, message, hint)
}
