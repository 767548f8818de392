//! Loads the input of previews: records as a worker would find them if failed rows were retried or
//! events arrived. Nothing is leased and nothing changes.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::types::Json;
use sqlx::{Postgres, QueryBuilder};

use crate::queue::delivery::lease::OpenRow;
use crate::queue::model::{Accepted, Lookup, Record, Stamp};
use crate::queue::{Queue, QueueError};

/// A record in its current state, with the rows that a preview considers.
#[derive(Debug)]
pub struct PreviewInput {
    /// The object kind.
    pub sync_type: String,
    /// The record. `rows` contains its open rows and the rows that were asked for.
    pub record: Record,
    /// The targets of its association slots: the external id, and the stamp that set it.
    pub slots: BTreeMap<String, (Option<String>, Stamp)>,
    /// Whether its erasure was requested.
    pub erased: bool,
}

/// A preview reads the newest rows of a record, because they decide.
const ROWS_PER_RECORD: i64 = 100;

impl Queue {
    /// Returns the records of failed `rows`, each with its open rows and those of `rows`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preview_inputs(&self, rows: &[i64]) -> Result<Vec<PreviewInput>, QueueError> {
        let mut query = select();
        query.push("r.id IN (SELECT record_id FROM sync_queue WHERE id = ANY(");
        query
            .push_bind(rows.to_vec())
            .push(")) AND r.portal = ")
            .push_bind(self.portal().to_owned());
        query.push(" ORDER BY r.id");
        let found: Vec<Found> = query.build_query_as().fetch_all(&self.pool).await?;
        let found: Result<_, _> = found.into_iter().map(Found::into_input).collect();
        self.filled(found?, rows).await
    }

    /// Returns the records with these kinds and external ids in their current state, each with its
    /// open rows, in the same order. A record that is not known is blank. A merged record is
    /// replaced by its survivor.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn preview_inputs_of(
        &self,
        keys: &[(String, String)],
    ) -> Result<Vec<PreviewInput>, QueueError> {
        let (kinds, ids): (Vec<&str>, Vec<&str>) =
            keys.iter().map(|(kind, id)| (kind.as_str(), id.as_str())).unzip();
        let found: Vec<(i64, i64)> = sqlx::query_as(
            "SELECT k.place, COALESCE(r.alias_of, r.id)
             FROM UNNEST($2::text[], $3::text[]) WITH ORDINALITY AS k (sync_type, external_id, place)
             JOIN crm_record r ON r.portal = $1 AND r.sync_type = k.sync_type
                                  AND r.external_id = k.external_id",
        )
        .bind(self.portal())
        .bind(&kinds)
        .bind(&ids)
        .fetch_all(&self.pool)
        .await?;
        let records: Vec<i64> = found.iter().map(|(_, record)| *record).collect();
        let mut query = select();
        query.push("r.id = ANY(").push_bind(records).push(")");
        let known: Vec<Found> = query.build_query_as().fetch_all(&self.pool).await?;
        let known: Result<_, _> = known.into_iter().map(Found::into_input).collect();
        let known = known?;
        let mut known: HashMap<i64, PreviewInput> =
            self.filled(known, &[]).await?.into_iter().map(|p| (p.record.id, p)).collect();
        let places: HashMap<i64, i64> = found.into_iter().collect();
        Ok(keys
            .iter()
            .zip(1_i64..)
            .map(|((kind, id), place)| {
                let record = places.get(&place).and_then(|record| known.remove(record));
                record.unwrap_or_else(|| blank(kind, id))
            })
            .collect())
    }

    /// Adds the open rows, those of `rows`, and the slots.
    async fn filled(
        &self,
        mut inputs: Vec<PreviewInput>,
        rows: &[i64],
    ) -> Result<Vec<PreviewInput>, QueueError> {
        let ids: Vec<i64> = inputs.iter().map(|p| p.record.id).collect();
        let open: Vec<OpenRow> = sqlx::query_as(
            "SELECT q.id, q.record_id, q.output, q.operation, q.retry_count, q.status = 'failed' AS along,
                    q.created_at,
                    e.occurred_at, e.type AS event_type, e.subject, e.data, q.subject_id,
                    o.tombstone_at, o.tombstone_row
             FROM UNNEST($1::bigint[]) AS l (id)
             CROSS JOIN LATERAL (
                 SELECT * FROM sync_queue
                 WHERE record_id = l.id
                   AND ((status IN ('pending', 'retry') AND NOT written) OR id = ANY($2)
                        OR (status = 'failed' AND along AND discarded_at IS NULL AND NOT written
                            AND operation = 'upsert'))
                 ORDER BY id DESC LIMIT $3) q
             JOIN event e ON e.no = q.event_no
             LEFT JOIN LATERAL (
                 SELECT tombstone_at, tombstone_row FROM crm_record
                 WHERE id = q.subject_id LIMIT 1) AS o ON true
             ORDER BY q.record_id, q.id",
        )
        .bind(&ids)
        .bind(rows)
        .bind(ROWS_PER_RECORD)
        .fetch_all(&self.pool)
        .await?;
        let slots: Vec<SlotRow> = sqlx::query_as(
            "SELECT a.record_id, a.slot, t.external_id AS target, a.set_at, a.set_by
             FROM crm_association a LEFT JOIN crm_record t ON t.id = a.target_id
             WHERE a.record_id = ANY($1)",
        )
        .bind(&ids)
        .fetch_all(&self.pool)
        .await?;
        let places: HashMap<i64, usize> =
            ids.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        for row in open {
            if let Some(&place) = places.get(&row.record_id) {
                inputs[place].record.rows.push(row.into_row()?);
            }
        }
        for row in slots {
            if let Some(&place) = places.get(&row.record_id) {
                let stamp = Stamp { at: row.set_at, row: row.set_by };
                inputs[place].slots.insert(row.slot, (row.target, stamp));
            }
        }
        Ok(inputs)
    }
}

/// A record that the queue does not know.
fn blank(sync_type: &str, external_id: &str) -> PreviewInput {
    let record = Record::blank(0, external_id.to_owned());
    PreviewInput { sync_type: sync_type.to_owned(), record, slots: BTreeMap::new(), erased: false }
}

fn select() -> QueryBuilder<Postgres> {
    QueryBuilder::new(
        "SELECT r.sync_type, r.id, r.external_id, r.hubspot_id, r.accepted, r.tombstone_at,
                r.tombstone_row, r.doubt, r.lookup, r.lookup_id, r.failures, r.brought IS NOT NULL AS shared,
                r.adopted_at IS NOT NULL AS adopted, r.erase_confirmed,
                r.erased_at IS NOT NULL AS erased FROM crm_record r WHERE ",
    )
}

#[derive(sqlx::FromRow)]
struct SlotRow {
    record_id: i64,
    slot: String,
    target: Option<String>,
    set_at: DateTime<Utc>,
    set_by: i64,
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
    lookup: Option<String>,
    lookup_id: Option<String>,
    failures: i32,
    shared: bool,
    adopted: bool,
    erase_confirmed: bool,
    erased: bool,
}

impl Found {
    fn into_input(self) -> Result<PreviewInput, QueueError> {
        let tombstone = self.tombstone_at.zip(self.tombstone_row);
        let record = Record {
            id: self.id,
            external_id: self.external_id,
            hubspot_id: self.hubspot_id,
            accepted: self.accepted.0,
            tombstone: tombstone.map(|(at, row)| Stamp { at, row }),
            doubt: self.doubt,
            lookup: Lookup::read(self.lookup.as_deref(), self.lookup_id)?,
            shared: self.shared,
            lost_link: None,
            adopted: self.adopted,
            erase_confirmed: self.erase_confirmed,
            failures: self.failures,
            rows: Vec::new(),
        };
        let (slots, erased) = (BTreeMap::new(), self.erased);
        Ok(PreviewInput { sync_type: self.sync_type, record, slots, erased })
    }
}
