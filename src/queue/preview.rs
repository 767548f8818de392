//! Looking ahead: records as a worker would find them if failed rows were retried, or events came.
//! Nothing is leased and nothing changes.

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{Postgres, QueryBuilder};

use super::lease::OpenRow;
use super::model::{Accepted, Record, Stamp};
use super::{PORTAL, Queue, QueueError};

/// What would become of one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// The property, or the association's slot.
    pub name: String,
    /// The value; `None` where there is none to show.
    pub value: Option<String>,
    /// The row it comes from.
    pub row: i64,
    /// `send`, `clear`, `unchanged`, `older`, `void`, `dropped`, `altered`, `waits` or `refused`.
    pub verdict: &'static str,
    /// Why.
    pub reason: Option<String>,
}

/// What would become of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outlook {
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// Whether HubSpot has it already.
    pub linked: bool,
    /// What happens to it as a whole, where that is not a write.
    pub note: Option<String>,
    /// Its properties, row by row.
    pub properties: Vec<Foreseen>,
    /// Its associations, row by row.
    pub associations: Vec<Foreseen>,
}

/// A record as it stands, with rows that may go.
#[derive(Debug)]
pub struct Prospect {
    /// The object kind.
    pub sync_type: String,
    /// The record; `rows` holds what is open and what was asked about.
    pub record: Record,
}

/// At most so many rows of a record are looked at, as in a lease.
const ROWS_PER_RECORD: i64 = 1_000;

impl Queue {
    /// The records of failed `rows`, each with its open rows and those of `rows`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prospects(&self, rows: &[i64]) -> Result<Vec<Prospect>, QueueError> {
        let records: Vec<i64> = sqlx::query_scalar(
            "SELECT DISTINCT q.record_id FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
             WHERE q.id = ANY($1) AND r.portal = $2 AND r.erased_at IS NULL ORDER BY 1",
        )
        .bind(rows)
        .bind(PORTAL)
        .fetch_all(&self.pool)
        .await?;
        let mut query = select();
        query.push("r.id = ANY(").push_bind(records).push(") ORDER BY r.id");
        let found: Vec<Found> = query.build_query_as().fetch_all(&self.pool).await?;
        let mut prospects = Vec::with_capacity(found.len());
        for mut prospect in found.into_iter().map(Found::into_prospect) {
            let open: Vec<OpenRow> = sqlx::query_as(
                "SELECT q.id, q.record_id, q.operation, q.retry_count, q.created_at,
                        e.occurred_at, e.type AS event_type, e.subject, e.data
                 FROM sync_queue q JOIN event e ON e.no = q.event_no
                 WHERE q.record_id = $1
                   AND ((q.status IN ('pending', 'retry') AND NOT q.written) OR q.id = ANY($2))
                 ORDER BY q.id LIMIT $3",
            )
            .bind(prospect.record.id)
            .bind(rows)
            .bind(ROWS_PER_RECORD)
            .fetch_all(&self.pool)
            .await?;
            for row in open {
                prospect.record.rows.push(row.into_row()?);
            }
            prospects.push(prospect);
        }
        Ok(prospects)
    }

    /// The record of this key as it stands, with its open rows; a blank one where it is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn prospect(
        &self,
        sync_type: &str,
        external_id: &str,
    ) -> Result<Prospect, QueueError> {
        let mut query = select();
        query.push("r.portal = ").push_bind(PORTAL);
        query.push(" AND r.sync_type = ").push_bind(sync_type.to_owned());
        query.push(" AND r.external_id = ").push_bind(external_id.to_owned());
        let found: Option<Found> = query.build_query_as().fetch_optional(&self.pool).await?;
        Ok(found.map_or_else(|| blank(sync_type, external_id), Found::into_prospect))
    }
}

/// A record that nobody knows.
fn blank(sync_type: &str, external_id: &str) -> Prospect {
    let record = Record {
        id: 0,
        external_id: external_id.to_owned(),
        hubspot_id: None,
        accepted: Accepted::new(),
        tombstone: None,
        doubt: 0,
        resolve: None,
        failures: 0,
        rows: Vec::new(),
    };
    Prospect { sync_type: sync_type.to_owned(), record }
}

fn select() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "SELECT r.sync_type, r.id, r.external_id, r.hubspot_id, r.accepted, r.tombstone_at,
                r.tombstone_row, r.doubt, r.resolve, r.failures FROM crm_record r WHERE ",
    )
}

#[derive(sqlx::FromRow)]
struct Found {
    sync_type: String,
    id: i64,
    external_id: String,
    hubspot_id: Option<String>,
    accepted: Json<Accepted>,
    tombstone_at: Option<DateTime<Utc>>,
    tombstone_row: Option<i64>,
    doubt: i64,
    resolve: Option<String>,
    failures: i32,
}

impl Found {
    fn into_prospect(self) -> Prospect {
        let tombstone = self.tombstone_at.zip(self.tombstone_row);
        let record = Record {
            id: self.id,
            external_id: self.external_id,
            hubspot_id: self.hubspot_id,
            accepted: self.accepted.0,
            tombstone: tombstone.map(|(at, row)| Stamp { at, row }),
            doubt: self.doubt,
            resolve: self.resolve,
            failures: self.failures,
            rows: Vec::new(),
        };
        Prospect { sync_type: self.sync_type, record }
    }
}
