//! Lists rows, newest first, with filters, search and counts.

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use crate::queue::views::filter::{Depth, NEWEST_MATCHES, RowFilter, narrow};
use crate::queue::views::page::{Listing, Page};
use crate::queue::{Queue, QueueError};

/// A row as the API and the dashboard show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct RowView {
    /// The row's id.
    pub id: i64,
    /// The event's id.
    pub event_id: String,
    /// The event's source.
    pub event_source: String,
    /// The event's type.
    pub event_type: String,
    /// When the event happened.
    pub occurred_at: DateTime<Utc>,
    /// The trace that the event's sender gave.
    pub traceparent: Option<String>,
    /// The object kind.
    pub sync_type: String,
    /// The output of the mapping file that made the change.
    pub output: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// `upsert`, `archive` or `erase`.
    pub operation: String,
    /// One of the five statuses.
    pub status: String,
    /// Whether HubSpot has its properties. Associations may still be owed.
    pub written: bool,
    /// The priority: 0 high, 1 normal, 2 low.
    pub priority: i16,
    /// The number of failed deliveries so far.
    pub retry_count: i32,
    /// When the row was accepted.
    pub created_at: DateTime<Utc>,
    /// When the row is due. `None` once it is done.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// When the row was done.
    pub processed_at: Option<DateTime<Utc>>,
    /// The call that wrote it.
    pub call_id: Option<i64>,
    /// When the row was discarded.
    pub discarded_at: Option<DateTime<Utc>>,
    /// Why the row waits for something that has not arrived yet.
    pub waiting_reason: Option<String>,
    /// What was left out or altered.
    pub warnings: Option<serde_json::Value>,
    /// The error's code.
    pub error_code: Option<String>,
    /// The property that caused the error.
    pub error_property: Option<String>,
    /// What happened.
    pub error_message: Option<String>,
    /// What to do about it.
    pub error_hint: Option<String>,
    /// HubSpot's id of the call.
    pub error_correlation_id: Option<String>,
    /// The HTTP status of the reply.
    pub error_http_status: Option<i32>,
    pub(in crate::queue) record_id: i64,
    pub(in crate::queue) event_no: i64,
}

/// The columns that [`RowView`] is read from.
pub(in crate::queue) const COLUMNS: &str =
    "id, event_id, event_source, event_type, occurred_at, traceparent, sync_type, output, external_id,
    operation, status, written, priority, retry_count, created_at, scheduled_at, processed_at,
    call_id, discarded_at, waiting_reason, warnings, error_code, error_property, error_message,
    error_hint, error_correlation_id, error_http_status, record_id, event_no";

impl Queue {
    /// Returns a page of the rows that match `filter`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(
        &self,
        filter: &RowFilter,
        page: &Page,
    ) -> Result<Listing<RowView>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query.push(COLUMNS).push(" FROM sync_queue_view WHERE true");
        // With any other condition, the newest matches are not enough.
        let alone = page.cursor.is_none() && filter.is_search_alone();
        narrow(&mut query, self.portal(), filter, if alone { Depth::Newest } else { Depth::Whole });
        page.end(&mut query, "id");
        let found = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(Listing::of(found, page, |row: &RowView| row.id))
    }

    /// Counts the rows that match `filter`, up to `at_most`. If the filter names only status and
    /// object kind, the stored totals are used and nothing is counted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_rows(&self, filter: &RowFilter, at_most: i64) -> Result<i64, QueueError> {
        let plain = RowFilter {
            status: filter.status,
            sync_type: filter.sync_type.clone(),
            // Rows of erased subjects are few, and the totals do not list them separately.
            retryable: filter.retryable && filter.status.is_none(),
            ..RowFilter::default()
        };
        if *filter == plain {
            return Ok(self.sum(filter.status, filter.sync_type.as_deref()).await?.min(at_most));
        }
        let mut query = QueryBuilder::<Postgres>::new(
            "SELECT count(*) FROM (SELECT 1 FROM sync_queue_view WHERE true",
        );
        narrow(
            &mut query,
            self.portal(),
            filter,
            if at_most > NEWEST_MATCHES { Depth::Whole } else { Depth::Any },
        );
        query.push(" LIMIT ").push_bind(at_most).push(") AS found");
        Ok(query.build_query_scalar().fetch_one(&self.pool).await?)
    }
}
