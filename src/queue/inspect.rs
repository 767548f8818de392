//! Looking at what is owed: totals, one row, one event, one record.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};

use super::list::{COLUMNS, RowView};
use super::{PORTAL, Queue, QueueError};

/// How many rows of one kind have one status.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct Count {
    /// The object kind.
    pub sync_type: String,
    /// The status.
    pub status: String,
    /// How many.
    pub rows: i64,
}

/// When something of an object kind was last synced.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct LastSync {
    /// The object kind.
    pub sync_type: String,
    /// When.
    pub last_synced_at: Option<DateTime<Utc>>,
}

/// Totals of the queue.
#[derive(Debug, Clone)]
pub struct Totals {
    /// By object kind and status; discarded rows are left out.
    pub counts: Vec<Count>,
    /// When the row that waits the longest was accepted.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// The last sync of each object kind.
    pub last_sync: Vec<LastSync>,
    /// Rows done in the last minute.
    pub synced_last_minute: i64,
    /// Places of the window that are taken.
    pub window_used: i64,
    /// Association slots that wait for their other end.
    pub parked_associations: i64,
}

/// One counted try of a row that did not succeed.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct AttemptView {
    /// The call, if one was made.
    pub call_id: Option<i64>,
    /// When.
    pub attempted_at: DateTime<Utc>,
    /// Whose fault it was.
    pub class: String,
    /// The code.
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The reply's HTTP status.
    pub http_status: Option<i32>,
}

/// A record as people see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct RecordView {
    /// Our number of it.
    #[serde(skip)]
    pub id: i64,
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// The link.
    pub hubspot_id: Option<String>,
    /// property -> [value, event time, row].
    pub accepted: serde_json::Value,
    /// Whether HubSpot may hold something else than `accepted`: all of it goes with the next call.
    pub uncertain: bool,
    /// Transient failures in a row.
    pub failures: i32,
    /// When it is due.
    pub due_at: Option<DateTime<Utc>>,
    /// What it waits for.
    pub waiting_reason: Option<String>,
    /// Who holds it.
    pub lease_holder: Option<String>,
    /// Until when.
    pub lease_until: Option<DateTime<Utc>>,
    /// When it was last written.
    pub synced_at: Option<DateTime<Utc>>,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// An association of a record as people see it.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct AssociationView {
    /// The slot.
    pub slot: String,
    /// The other end's object kind.
    pub target_type: Option<String>,
    /// The other end's external id.
    pub target: Option<String>,
    /// `made`, `due`, `parked` (the other end is not there yet), `refused` or `none`.
    pub state: String,
}

/// A row with all that belongs to it.
#[derive(Debug, Clone)]
pub struct RowDetail {
    /// The row.
    pub row: RowView,
    /// The event's data; `None` once erased.
    pub payload: Option<serde_json::Value>,
    /// Its tries that did not succeed, oldest first.
    pub attempts: Vec<AttemptView>,
    /// Its record.
    pub record: RecordView,
    /// The record's associations.
    pub associations: Vec<AssociationView>,
}

impl Queue {
    /// Totals of the queue at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn totals(&self, now: DateTime<Utc>) -> Result<Totals, QueueError> {
        let counts = sqlx::query_as(
            "SELECT sync_type, status, count(*) AS rows FROM sync_queue_view
             WHERE portal = $1 AND discarded_at IS NULL GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .bind(PORTAL)
        .fetch_all(&self.pool)
        .await?;
        let last_sync = sqlx::query_as(
            "SELECT sync_type, max(synced_at) AS last_synced_at FROM crm_record
             WHERE portal = $1 GROUP BY 1 ORDER BY 1",
        )
        .bind(PORTAL)
        .fetch_all(&self.pool)
        .await?;
        let (oldest_waiting, synced_last_minute, window_used, parked_associations) = sqlx::query_as(
            "SELECT (SELECT min(created_at) FROM sync_queue WHERE status IN ('pending', 'retry')),
                    (SELECT count(*) FROM sync_queue
                     WHERE status = 'synced' AND processed_at > $2::timestamptz - interval '1 minute'),
                    (SELECT count(*) FROM hubspot_call WHERE portal = $1 AND free_at > $2),
                    (SELECT count(*) FROM crm_association a JOIN crm_record t ON t.id = a.target_id
                     WHERE t.hubspot_id IS NULL)",
        )
        .bind(PORTAL)
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(Totals {
            counts,
            oldest_waiting,
            last_sync,
            synced_last_minute,
            window_used,
            parked_associations,
        })
    }

    /// How much is still owed: rows that are neither synced nor failed, and records that are due or
    /// leased for other reasons, such as an association whose other end has just been linked.
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

    /// Which of `hubspot_ids` of an object kind are linked, and to which external ids.
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
        .bind(PORTAL)
        .bind(sync_type)
        .bind(hubspot_ids)
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().collect())
    }

    /// Which of `records` share their HubSpot record with another record of ours, after a merge.
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

    /// The rows of one event, oldest first; `None` when the event is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_rows(
        &self,
        source: &str,
        id: &str,
    ) -> Result<Option<Vec<RowView>>, QueueError> {
        let no: Option<i64> = sqlx::query_scalar(
            "SELECT no FROM event WHERE portal = $1 AND source = $2 AND id = $3",
        )
        .bind(PORTAL)
        .bind(source)
        .bind(id)
        .fetch_optional(&self.pool)
        .await?;
        let Some(no) = no else { return Ok(None) };
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query.push(COLUMNS).push(" FROM sync_queue_view WHERE event_no = ").push_bind(no);
        query.push(" ORDER BY id");
        Ok(Some(query.build_query_as().fetch_all(&self.pool).await?))
    }

    /// One row with its payload, its attempts and its record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn row(&self, id: i64) -> Result<Option<RowDetail>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new("SELECT ");
        query.push(COLUMNS).push(" FROM sync_queue_view WHERE id = ").push_bind(id);
        let Some(row): Option<RowView> = query.build_query_as().fetch_optional(&self.pool).await?
        else {
            return Ok(None);
        };
        let payload = sqlx::query_scalar("SELECT data FROM event WHERE no = $1")
            .bind(row.event_no)
            .fetch_one(&self.pool)
            .await?;
        let attempts = sqlx::query_as(
            "SELECT call_id, attempted_at, class, code, property, message, hint, correlation_id, http_status
             FROM attempt WHERE row_id = $1 ORDER BY id LIMIT 100",
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

    async fn record(&self, id: i64) -> Result<Option<RecordView>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT id, sync_type, external_id, hubspot_id, accepted, doubt <> 0 AS uncertain, failures,
                    due_at, waiting_reason, lease_holder, lease_until, synced_at,
                    tombstone_at AS deleted_at
             FROM crm_record WHERE id = $1",
        )
        .bind(id)
        .fetch_optional(&self.pool)
        .await?)
    }

    /// The associations of a record.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn associations(&self, record: i64) -> Result<Vec<AssociationView>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT a.slot, t.sync_type AS target_type, t.external_id AS target,
                    CASE WHEN a.refused THEN 'refused'
                         WHEN EXISTS (SELECT 1 FROM association_owed o
                                      WHERE o.record_id = a.record_id AND o.slot = a.slot) THEN 'due'
                         WHEN a.target_id IS NULL THEN 'none'
                         WHEN a.made_to IS NULL THEN 'parked'
                         ELSE 'made' END AS state
             FROM crm_association a LEFT JOIN crm_record t ON t.id = a.target_id
             WHERE a.record_id = $1 ORDER BY a.slot",
        )
        .bind(record)
        .fetch_all(&self.pool)
        .await?)
    }
}
