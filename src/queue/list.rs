//! Lists of rows, newest first, paged by key.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};

use super::model::{Status, priority_number};
use super::{PORTAL, Queue, QueueError};
use crate::event::Priority;

/// A row as people see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct RowView {
    /// Its number.
    pub id: i64,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// One of the five statuses.
    pub status: String,
    /// 0 high, 1 normal, 2 low.
    pub priority: i16,
    /// Failed deliveries so far.
    pub retry_count: i32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it is due; `None` once it is done.
    pub scheduled_at: Option<DateTime<Utc>>,
    /// When it was done.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it was given up for good.
    pub discarded_at: Option<DateTime<Utc>>,
    /// Why it waits for something that has not arrived yet.
    pub waiting_reason: Option<String>,
    /// What was left out or altered.
    pub warnings: Option<serde_json::Value>,
    /// The error's code.
    pub error_code: Option<String>,
    /// The property at fault.
    pub error_property: Option<String>,
    /// What happened.
    pub error_message: Option<String>,
    /// What to do.
    pub error_hint: Option<String>,
    /// HubSpot's id of the call.
    pub error_correlation_id: Option<String>,
    /// The reply's HTTP status.
    pub error_http_status: Option<i32>,
    #[serde(skip)]
    pub(super) record_id: i64,
    #[serde(skip)]
    pub(super) event_no: i64,
}

/// Which rows; an absent field means any.
#[derive(Debug, Clone, Default)]
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
    /// The priority.
    pub priority: Option<Priority>,
    /// Accepted at or after.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before.
    pub until: Option<DateTime<Utc>>,
}

/// The columns of [`RowView`].
pub(super) const COLUMNS: &str =
    "id, event_id, event_type, sync_type, external_id, status, priority,
    retry_count, created_at, scheduled_at, processed_at, discarded_at, waiting_reason, warnings,
    error_code, error_property, error_message, error_hint, error_correlation_id, error_http_status,
    record_id, event_no";

impl Queue {
    /// Up to `limit` rows older than row `before`, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(
        &self,
        filter: &RowFilter,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<RowView>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query.push(COLUMNS).push(" FROM sync_queue_view WHERE portal = ").push_bind(PORTAL);
        if let Some(before) = before {
            query.push(" AND id < ").push_bind(before);
        }
        if let Some(status) = filter.status {
            query.push(" AND status = ").push_bind(status.as_str());
            if status == Status::Failed {
                query.push(" AND discarded_at IS NULL");
            }
        }
        let texts = [
            ("sync_type", &filter.sync_type),
            ("event_type", &filter.event_type),
            ("external_id", &filter.external_id),
            ("error_code", &filter.error_code),
        ];
        for (column, value) in texts {
            if let Some(value) = value {
                query.push(" AND ").push(column).push(" = ").push_bind(value);
            }
        }
        if let Some(priority) = filter.priority {
            query.push(" AND priority = ").push_bind(priority_number(priority));
        }
        if let Some(since) = filter.since {
            query.push(" AND created_at >= ").push_bind(since);
        }
        if let Some(until) = filter.until {
            query.push(" AND created_at < ").push_bind(until);
        }
        query.push(" ORDER BY id DESC LIMIT ").push_bind(limit);
        Ok(query.build_query_as().fetch_all(&self.pool).await?)
    }
}
