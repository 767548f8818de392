//! Reads single items for people and programs: one row with its details, one event, linked records.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder};

use crate::queue::views::list::{COLUMNS, RowView};
use crate::queue::views::records::{AssociationView, RecordView};
use crate::queue::{Queue, QueueError};

/// One attempt of a row that did not succeed.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AttemptView {
    /// The call, if one was made.
    pub call_id: Option<i64>,
    /// When the attempt was made.
    pub attempted_at: DateTime<Utc>,
    /// The class of the cause.
    pub class: String,
    /// The error code.
    pub code: String,
    /// The property that caused the error.
    pub property: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The HTTP status of the reply.
    pub http_status: Option<i32>,
    /// The time from sending the call to its reply, in milliseconds.
    pub duration_ms: Option<i32>,
    /// `false` if the attempt is not counted, because an outage caused it and not the row.
    pub counted: bool,
}

/// A row with its details.
#[derive(Debug, Clone)]
pub struct RowDetail {
    /// The row.
    pub row: RowView,
    /// The event's data; `None` once erased.
    pub payload: Option<serde_json::Value>,
    /// The attempts that did not succeed, oldest first.
    pub attempts: Vec<AttemptView>,
    /// The row's record.
    pub record: RecordView,
    /// The record's associations.
    pub associations: Vec<AssociationView>,
}

impl Queue {
    /// Returns how much is still owed: rows that are neither synced nor failed, and records that
    /// are due or leased for other reasons, such as an association whose other end has just been
    /// linked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn outstanding(&self) -> Result<i64, QueueError> {
        Ok(sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM sync_queue WHERE status IN ('pending', 'retry'))
                  + (SELECT count(*) FROM crm_record
                     WHERE due_at IS NOT NULL OR lease_token IS NOT NULL OR link_mark IS NOT NULL)",
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Returns which of `hubspot_ids` of an object kind are linked, and to which external ids.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn linked(
        &self,
        sync_type: &str,
        hubspot_ids: &[String],
    ) -> Result<HashMap<String, String>, QueueError> {
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT hubspot_id, external_id FROM crm_record
             WHERE portal = $1 AND sync_type = $2 AND hubspot_id = ANY($3)",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(hubspot_ids)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// Returns which of `records` share their HubSpot record with another record, after a merge.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shared_links(&self, records: &[i64]) -> Result<HashSet<i64>, QueueError> {
        let shared: Vec<i64> = sqlx::query_scalar(
            "SELECT r.id FROM crm_record r
             WHERE r.id = ANY($1) AND r.hubspot_id IS NOT NULL AND EXISTS (
                 SELECT 1 FROM crm_record o
                 WHERE o.portal = r.portal AND o.sync_type = r.sync_type
                   AND o.hubspot_id = r.hubspot_id AND o.id <> r.id)",
        )
        .bind(records)
        .fetch_all(&self.pool)
        .await?;
        Ok(shared.into_iter().collect())
    }

    /// Returns the traces that the senders of `rows` gave, by row.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn traces(&self, rows: &[i64]) -> Result<HashMap<i64, String>, QueueError> {
        let found: Vec<(i64, String)> = sqlx::query_as(
            "SELECT q.id, e.traceparent FROM sync_queue q JOIN event e ON e.no = q.event_no
             WHERE q.id = ANY($1) AND e.traceparent IS NOT NULL",
        )
        .bind(rows)
        .fetch_all(&self.pool)
        .await?;
        Ok(found.into_iter().collect())
    }

    /// Returns the rows of one event, oldest first, or `None` if the event is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_rows(
        &self,
        source: &str,
        id: &str,
    ) -> Result<Option<Vec<RowView>>, QueueError> {
        let mut events = self.rows_of_events(&[(source.to_owned(), id.to_owned())]).await?;
        Ok(events.pop().flatten())
    }

    /// Returns the rows of each of `events`, which are named by source and id, in the same order.
    /// An event that is not known gives `None`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows_of_events(
        &self,
        events: &[(String, String)],
    ) -> Result<Vec<Option<Vec<RowView>>>, QueueError> {
        let (sources, ids): (Vec<&str>, Vec<&str>) =
            events.iter().map(|(source, id)| (source.as_str(), id.as_str())).unzip();
        let found: Vec<Option<Vec<i64>>> = sqlx::query_scalar(
            "SELECT e.row_ids FROM unnest($2::text[], $3::text[]) WITH ORDINALITY n (source, id, place)
             LEFT JOIN event e ON e.portal = $1 AND e.source = n.source AND e.id = n.id
             ORDER BY n.place",
        )
        .bind(self.portal())
        .bind(sources)
        .bind(ids)
        .fetch_all(&self.pool)
        .await?;
        let wanted: Vec<i64> = found.iter().flatten().flatten().copied().collect();
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query
            .push(COLUMNS)
            .push(" FROM sync_queue_view WHERE id = ANY(")
            .push_bind(wanted)
            .push(")");
        let rows: Vec<RowView> = query.build_query_as().fetch_all(&self.pool).await?;
        let by_id: HashMap<i64, RowView> = rows.into_iter().map(|row| (row.id, row)).collect();
        let of_event = |mut ids: Vec<i64>| {
            ids.sort_unstable();
            ids.iter().filter_map(|id| by_id.get(id).cloned()).collect()
        };
        Ok(found.into_iter().map(|ids| ids.map(of_event)).collect())
    }

    /// Returns one row with its payload, its attempts and its record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn row(&self, id: i64) -> Result<Option<RowDetail>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query.push(COLUMNS).push(" FROM sync_queue_view WHERE id = ").push_bind(id);
        query.push(" AND portal = ").push_bind(self.portal().to_owned());
        let Some(row): Option<RowView> = query.build_query_as().fetch_optional(&self.pool).await?
        else {
            return Ok(None);
        };
        let payload = sqlx::query_scalar("SELECT data FROM event WHERE no = $1")
            .bind(row.event_no)
            .fetch_one(&self.pool)
            .await?;
        let attempts = sqlx::query_as(
            "SELECT a.call_id, a.attempted_at, a.class, a.code, a.property, a.message, a.hint,
                    a.correlation_id, a.http_status, c.duration_ms, a.counted
             FROM attempt a LEFT JOIN hubspot_call c ON c.id = a.call_id
             WHERE a.row_id = $1 ORDER BY a.id LIMIT 100",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        let record = self.record(row.record_id).await?;
        let Some(record) = record else {
            return Err(QueueError::Corrupt(format!("row {id} has no record")));
        };
        let associations = self.associations(record.id).await?;
        Ok(Some(RowDetail { row, payload, attempts, record, associations }))
    }
}
