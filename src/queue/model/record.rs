//! A record of which nothing is known, for previews.

use crate::queue::model::{Accepted, Record};

impl Record {
    /// A record of which nothing is known yet.
    #[must_use]
    pub fn blank(id: i64, external_id: String) -> Self {
        Self {
            id,
            external_id,
            hubspot_id: None,
            accepted: Accepted::new(),
            tombstone: None,
            doubt: 0,
            lookup: None,
            shared: false,
            lost_link: None,
            adopted: false,
            erase_confirmed: false,
            failures: 0,
            rows: Vec::new(),
        }
    }
}
