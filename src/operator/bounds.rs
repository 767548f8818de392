//! The limits on what one request may ask for. Each is written once and holds for the admin API,
//! the dashboard and the command line.

use super::OperatorError;

/// The longest reason for a pause, in characters.
pub const REASON: usize = 500;
/// The longest search text, in characters: the longest external id.
pub const SEARCH: usize = 512;
/// The most rows that one request may name by number. More are chosen by a filter.
pub const IDS: usize = 1_000;
/// The most entries on a page of a list.
pub const PAGE: i64 = 500;
/// The entries on a page of a list if nothing else is asked for.
pub const USUAL_PAGE: i64 = 50;
/// The most groups of failed rows.
pub const ERROR_GROUPS: i64 = 500;
/// The rows that a preview of an action shows.
pub const SAMPLE: i64 = 10;
/// A preview of an action stops counting here.
pub const COUNTED: i64 = 1_000_000;
/// The most events in a preview.
pub const PREVIEW_EVENTS: usize = 1_000;
/// The most days until a new key expires.
pub const KEY_DAYS: i64 = 3_650;

/// Returns the reason for a pause without blanks around it, or `None` for an empty one.
pub(super) fn reason(text: Option<&str>) -> Result<Option<&str>, OperatorError> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    match text {
        Some(text) if text.chars().count() > REASON => {
            Err(OperatorError::Request(format!("reason: must have at most {REASON} characters")))
        }
        text => Ok(text),
    }
}

/// Checks the length of a search text. A blank one is none, because it would match everything.
pub(super) fn search(text: Option<String>) -> Result<Option<String>, String> {
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) if text.chars().count() > SEARCH => {
            Err(format!("q: must have at most {SEARCH} characters"))
        }
        text => Ok(text),
    }
}

/// Checks how many rows are named by number.
pub(super) fn ids(ids: Option<Vec<i64>>) -> Result<Option<Vec<i64>>, String> {
    match ids {
        Some(ids) if ids.len() > IDS => {
            Err(format!("ids: at most {IDS} rows can be named; use a filter for more"))
        }
        ids => Ok(ids),
    }
}
