//! What becomes of a value. No message or hint repeats one.

use crate::hubspot::definitions::Choice;

/// The most options that a hint lists.
const LISTED: usize = 10;

/// What is to be sent of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// The value as it is.
    Unchanged,
    /// This instead; with a note where it says less than the value did.
    Changed(String, Option<Note>),
    /// Nothing: HubSpot would refuse it.
    Invalid(Note),
}

/// Why a value was altered or is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// HubSpot's word where it has one, such as `INVALID_OPTION`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
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
