//! An event that was sent and whose result is asked for.

use crate::cli::input::Item;

/// An event to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Watched {
    /// Its position among the events, from zero.
    pub(super) ordinal: u64,
    /// Its line in the file.
    pub(super) line: u64,
    pub(super) id: String,
    pub(super) source: Option<String>,
}

impl Watched {
    pub(super) fn of(item: &Item) -> Option<Self> {
        let event = item.event.as_ref().ok()?;
        let source = event["source"].as_str().map(str::to_owned);
        Some(Self {
            ordinal: item.ordinal,
            line: item.line,
            id: event["id"].as_str()?.to_owned(),
            source,
        })
    }
}
