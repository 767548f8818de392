//! Reads leased records and their open rows.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use sqlx::types::Json;

use super::ROWS_PER_RECORD;
use crate::queue::QueueError;
use crate::queue::model::{Accepted, Lookup, Record, Row, Stage, Stamp};

/// Loads the open rows of leased records: deletes first, then the oldest. A call that writes also
/// sends the values of the newest rows that failed because of HubSpot, because HubSpot may have
/// stored them.
pub(super) async fn load_rows(
    db: &mut PgConnection,
    stage: Stage,
    records: &mut [Record],
) -> Result<(), QueueError> {
    let writes = !matches!(stage, Stage::Erase | Stage::Archive);
    let ids: Vec<i64> = records.iter().map(|r| r.id).collect();
    let rows: Vec<OpenRow> = sqlx::query_as(
        "SELECT q.id, q.record_id, q.output, q.operation, q.retry_count, q.status = 'failed' AS along, q.created_at,
                e.occurred_at, e.type AS event_type, e.subject, e.data, q.subject_id,
                CASE WHEN q.subject_id IS NOT NULL THEN
                    (SELECT tombstone_at FROM crm_record WHERE id = q.subject_id) END AS tombstone_at,
                CASE WHEN q.subject_id IS NOT NULL THEN
                    (SELECT tombstone_row FROM crm_record WHERE id = q.subject_id) END AS tombstone_row
         FROM UNNEST($1::bigint[]) AS l (id)
         CROSS JOIN LATERAL (
             (SELECT * FROM sync_queue
              WHERE record_id = l.id AND status IN ('pending', 'retry') AND NOT written
              ORDER BY (operation = 'upsert'), id LIMIT $2)
             UNION ALL
             (SELECT * FROM sync_queue
              WHERE $3 AND record_id = l.id AND operation = 'upsert'
                AND status = 'failed' AND along AND discarded_at IS NULL AND NOT written
              ORDER BY id DESC LIMIT $2)) q
         JOIN event e ON e.no = q.event_no AND (e.data IS NOT NULL OR q.status <> 'failed')
         ORDER BY q.record_id, q.id",
    )
    .bind(&ids)
    .bind(ROWS_PER_RECORD)
    .bind(writes)
    .fetch_all(db)
    .await?;
    let places: std::collections::HashMap<i64, usize> =
        ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
    for row in rows {
        if let Some(&place) = places.get(&row.record_id) {
            records[place].rows.push(row.into_row()?);
        }
    }
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(super) struct LeasedRow {
    pub(super) id: i64,
    pub(super) external_id: String,
    pub(super) hubspot_id: Option<String>,
    pub(super) accepted: Json<Accepted>,
    pub(super) tombstone_at: Option<DateTime<Utc>>,
    pub(super) tombstone_row: Option<i64>,
    pub(super) doubt: i64,
    pub(super) lookup: Option<String>,
    pub(super) lookup_id: Option<String>,
    pub(super) failures: i32,
    pub(super) lease_token: i64,
    pub(super) rank: DateTime<Utc>,
    pub(super) shared: bool,
    pub(super) lost_link: Option<String>,
    pub(super) adopted: bool,
    pub(super) erase_confirmed: bool,
}

impl LeasedRow {
    pub(super) fn into_record(self) -> Result<Record, QueueError> {
        Ok(Record {
            id: self.id,
            external_id: self.external_id,
            hubspot_id: self.hubspot_id,
            accepted: self.accepted.0,
            tombstone: self.tombstone_at.zip(self.tombstone_row).map(|(at, row)| Stamp { at, row }),
            doubt: self.doubt,
            lookup: Lookup::read(self.lookup.as_deref(), self.lookup_id)?,
            shared: self.shared,
            lost_link: self.lost_link,
            adopted: self.adopted,
            erase_confirmed: self.erase_confirmed,
            failures: self.failures,
            rows: Vec::new(),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(in crate::queue) struct OpenRow {
    id: i64,
    pub(in crate::queue) record_id: i64,
    output: String,
    operation: String,
    retry_count: i32,
    along: bool,
    created_at: DateTime<Utc>,
    occurred_at: DateTime<Utc>,
    event_type: String,
    subject: String,
    data: Option<serde_json::Value>,
    subject_id: Option<i64>,
    tombstone_at: Option<DateTime<Utc>>,
    tombstone_row: Option<i64>,
}

impl OpenRow {
    pub(in crate::queue) fn into_row(self) -> Result<Row, QueueError> {
        let operation = self
            .operation
            .parse()
            .map_err(|_| QueueError::Corrupt(format!("operation `{}`", self.operation)))?;
        Ok(Row {
            id: self.id,
            output: self.output,
            operation,
            retry_count: self.retry_count,
            along: self.along,
            created_at: self.created_at,
            occurred_at: self.occurred_at,
            event_type: self.event_type,
            subject: self.subject,
            data: self.data,
            of_alias: self.subject_id,
            alias_tombstone: self
                .tombstone_at
                .zip(self.tombstone_row)
                .map(|(at, row)| Stamp { at, row }),
        })
    }
}
