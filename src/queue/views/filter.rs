//! Selects rows: filters and searches, as conditions of a statement.

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};
use sqlx::{Postgres, QueryBuilder};

use crate::event::Priority;
use crate::queue::model::{Status, priority_number};

/// Selects rows. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowFilter {
    /// The status.
    pub status: Option<Status>,
    /// The object kind.
    pub sync_type: Option<String>,
    /// The event's type.
    pub event_type: Option<String>,
    /// The application's id of the entity.
    pub external_id: Option<String>,
    /// The error's code.
    pub error_code: Option<String>,
    /// The property that caused the error. Empty selects rows whose error names none.
    pub error_property: Option<String>,
    /// The priority.
    pub priority: Option<Priority>,
    /// Accepted at or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub until: Option<DateTime<Utc>>,
    /// Rows that a person retried or discarded at exactly this instant.
    pub acted_at: Option<DateTime<Utc>>,
    /// Only these rows.
    pub ids: Option<Vec<i64>>,
    /// Only rows that can be retried. This excludes rows whose data was erased.
    pub retryable: bool,
    /// An external id, an event id, an e-mail address or its SHA-256, an error code, or words of an
    /// error message.
    pub search: Option<String>,
}

impl RowFilter {
    /// Whether the filter contains only a search, apart from the status that a word search implies.
    pub(super) fn is_search_alone(&self) -> bool {
        let search = self.search.clone();
        let status = self.status.filter(|status| *status == Status::Failed);
        *self == Self { search, status, retryable: self.retryable, ..Self::default() }
    }
}

/// Overlapping requests start at most this far apart, because a request lasts at most a minute.
const OVERLAP: TimeDelta = TimeDelta::minutes(5);

/// The number that finds the rows with an e-mail address: the first eight bytes of the SHA-256 of
/// the address, trimmed and in lower case.
#[must_use]
pub fn email_hash(address: &str) -> i64 {
    let digest = Sha256::digest(address.trim().to_lowercase().as_bytes());
    i64::from_be_bytes(std::array::from_fn(|i| digest[i]))
}

/// The number for a search text, if the text is an address or the hexadecimal SHA-256 of one.
fn searched_email(text: &str) -> Option<i64> {
    if text.contains('@') {
        return Some(email_hash(text));
    }
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if !hex {
        return None;
    }
    u64::from_str_radix(&text[..16], 16).ok().map(u64::cast_signed)
}

/// Converts the words of `text` to a prefix query of the text search. `None` if it has no word.
fn words(text: &str) -> Option<String> {
    let words: Vec<String> = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(10)
        .map(|word| format!("{word}:*"))
        .collect();
    (!words.is_empty()).then(|| words.join(" & "))
}

/// Adds the conditions of `filter` to `query` on the view. Its `WHERE` must be open.
pub(in crate::queue) fn narrow(
    query: &mut QueryBuilder<Postgres>,
    portal: &str,
    filter: &RowFilter,
    depth: Depth,
) {
    query.push(" AND portal = ").push_bind(portal.to_owned());
    if let Some(status) = filter.status {
        // The stored status is added to the shown one, because the partial indexes need it.
        query.push(match status {
            Status::Pending => " AND kept = 'pending' AND taken IS NOT TRUE",
            Status::Retry => " AND kept = 'retry' AND taken IS NOT TRUE",
            // Start with the leased records, which are few. The planner does not know that.
            Status::Processing => {
                " AND record_id = ANY(ARRAY(SELECT id FROM crm_record WHERE lease_token IS NOT NULL))
                 AND leased AND taken AND kept IN ('pending', 'retry')"
            }
            Status::Synced => " AND kept = 'synced'",
            Status::Failed => " AND kept = 'failed' AND discarded_at IS NULL",
        });
    }
    let texts = [
        ("sync_type", &filter.sync_type),
        ("external_id", &filter.external_id),
        ("error_code", &filter.error_code),
    ];
    for (column, value) in texts {
        if let Some(value) = value {
            query.push(" AND ").push(column).push(" = ").push_bind(value.clone());
        }
    }
    if let Some(kind) = &filter.event_type {
        // Find the events first, because the rows have no index on the type.
        query.push(" AND id IN (SELECT UNNEST(row_ids) FROM event WHERE portal = ");
        query.push_bind(portal.to_owned()).push(" AND type = ");
        query.push_bind(kind.clone()).push(")");
    }
    match filter.error_property.as_deref() {
        Some("") => {
            query.push(" AND error_property IS NULL");
        }
        Some(property) => {
            query.push(" AND error_property = ").push_bind(property.to_owned());
        }
        None => {}
    }
    if let Some(priority) = filter.priority {
        query.push(" AND priority = ").push_bind(priority_number(priority));
    }
    // The row ids limit the search to the relevant pages. The times decide.
    if let Some(since) = filter.since {
        query.push(" AND created_at >= ").push_bind(since);
        query
            .push(" AND id >= (SELECT first_row_since(")
            .push_bind(since.checked_sub_signed(OVERLAP).unwrap_or(since))
            .push("))");
    }
    if let Some(until) = filter.until {
        query.push(" AND created_at < ").push_bind(until);
        query
            .push(" AND id < (SELECT first_row_since(")
            .push_bind(until.checked_add_signed(OVERLAP).unwrap_or(until))
            .push("))");
    }
    if let Some(at) = filter.acted_at {
        // Read the table, because the view has no indexes.
        query.push(" AND id IN (SELECT id FROM sync_queue WHERE retried_at = ").push_bind(at);
        query.push(" UNION ALL SELECT id FROM sync_queue WHERE discarded_at = ").push_bind(at);
        query.push(")");
    }
    if filter.retryable {
        query.push(" AND NOT (erased AND operation <> 'erase')");
    }
    if let Some(ids) = &filter.ids {
        query.push(" AND id = ANY(").push_bind(ids.clone()).push(")");
    }
    if let Some(text) = filter.search.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        search(query, portal, text, depth);
    }
}

/// How many matches a word search considers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::queue) enum Depth {
    /// All rows, for actions that change them.
    Whole,
    /// The newest matches, for lists.
    Newest,
    /// The same number of matches, in any order, for counts.
    Any,
}

/// A search for a word of a very common error shows only the newest matches.
pub(super) const NEWEST_MATCHES: i64 = 1_001;

/// Adds a search to the query. Each branch has its own index.
fn search(query: &mut QueryBuilder<Postgres>, portal: &str, text: &str, depth: Depth) {
    query.push(" AND id IN (SELECT q.id FROM sync_queue q JOIN crm_record r ON r.id = q.record_id WHERE r.portal = ");
    query.push_bind(portal.to_owned());
    query.push(" AND r.sync_type IN (SELECT sync_type FROM known_kind) AND r.external_id = ");
    query.push_bind(text.to_owned());
    query.push(" UNION ALL SELECT UNNEST(e.row_ids) FROM event e WHERE e.id = ");
    query.push_bind(text.to_owned());
    query.push(" UNION ALL SELECT id FROM sync_queue WHERE status = 'failed' AND discarded_at IS NULL AND portal = ");
    query.push_bind(portal.to_owned()).push(" AND error_code = ").push_bind(text.to_uppercase());
    if let Some(hash) = searched_email(text) {
        query.push(" UNION ALL SELECT row_id FROM row_email WHERE email_hash = ").push_bind(hash);
    }
    if let Some(words) = words(text) {
        query.push(" UNION ALL (SELECT id FROM sync_queue WHERE portal = ");
        query.push_bind(portal.to_owned());
        query.push(" AND status = 'failed' AND to_tsvector('simple', error_message) @@ to_tsquery('simple', ");
        query.push_bind(words).push(")");
        if depth == Depth::Newest {
            query.push(" ORDER BY id DESC");
        }
        if depth != Depth::Whole {
            query.push(" LIMIT ").push_bind(NEWEST_MATCHES);
        }
        query.push(")");
    }
    query.push(")");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_its_hash_find_the_same_rows() {
        let address = "Marie@Company.fr ";
        let hex: String =
            Sha256::digest(b"marie@company.fr").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(searched_email(address), Some(email_hash("marie@company.fr")));
        assert_eq!(searched_email(&hex), searched_email(address));
        assert_eq!(searched_email("u-1001"), None);
    }

    #[test]
    fn words_are_beginnings_whatever_stands_between_them() {
        assert_eq!(words("Property \"phone\" & | ! :*").as_deref(), Some("Property:* & phone:*"));
        assert_eq!(words("'; --"), None);
    }
}
