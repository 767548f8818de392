//! Accepting events: the events, their records and their rows, in one transaction.

mod records;

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use super::list::email_hash;
use super::model::{head_start, priority_number};
use super::notify::notify;
use super::refresh::{lock, refresh};
use super::{PORTAL, Queue, QueueError};
use crate::event::Event;
use crate::mapping::{Change, Operation};

pub(super) use records::ensure_records;
use records::{erased_subjects, survivors};

/// An event that passed the door, and what it means for records.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The event.
    pub event: Event,
    /// One change a record.
    pub changes: Vec<Change>,
}

/// What became of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id.
    pub event_id: String,
    /// Whether it had been accepted before.
    pub duplicate: bool,
    /// Its rows.
    pub rows: Vec<RowReceipt>,
}

/// One row of an accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReceipt {
    /// Its number.
    pub id: i64,
    /// The object kind.
    pub sync_type: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// Where it stands.
    pub status: String,
}

/// Why events were not stored.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// Events whose id is known with another body, by position. Nothing was stored.
    #[error("{} events carry an id that was used for another body", .0.len())]
    Conflict(Vec<usize>),
    /// Events of subjects that were erased, by position. Nothing was stored.
    #[error("{} events are about subjects that were erased", .0.len())]
    Erased(Vec<usize>),
    /// The database.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<sqlx::Error> for EnqueueError {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

type Key<'a> = (&'a str, &'a str);

impl Queue {
    /// Stores `events` whole or not at all and says what became of each, in their order. An event
    /// whose id is known with the same body is a duplicate and changes nothing.
    ///
    /// # Errors
    /// [`EnqueueError::Conflict`] when an id is known with another body.
    pub async fn enqueue(
        &self,
        events: &[Admitted],
        now: DateTime<Utc>,
    ) -> Result<Vec<Receipt>, EnqueueError> {
        // Sorted by key, so that two requests with the same events never wait for each other.
        let mut first: BTreeMap<Key<'_>, usize> = BTreeMap::new();
        let mut conflicts = Vec::new();
        for (index, Admitted { event, .. }) in events.iter().enumerate() {
            let seen = *first.entry((&event.source, &event.id)).or_insert(index);
            if events[seen].event.hash != event.hash {
                conflicts.push(index);
            }
        }
        if !conflicts.is_empty() {
            return Err(EnqueueError::Conflict(conflicts));
        }
        let unique: Vec<usize> = first.values().copied().collect();

        let mut tx = self.pool.begin().await?;
        let numbers = insert_events(&mut tx, events, &unique, now).await?;
        let known: Vec<usize> = unique
            .iter()
            .copied()
            .filter(|&i| {
                !numbers.contains_key(&(events[i].event.source.clone(), events[i].event.id.clone()))
            })
            .collect();
        let mut receipts = known_events(&mut tx, events, &known).await?;
        let fresh: Vec<(i64, &Admitted)> = unique
            .iter()
            .filter_map(|&i| {
                let event = &events[i].event;
                Some((*numbers.get(&(event.source.clone(), event.id.clone()))?, &events[i]))
            })
            .collect();
        if !fresh.is_empty() {
            let erased = erased_subjects(&mut tx, &fresh).await?;
            if !erased.is_empty() {
                let about =
                    |event: &Event| erased.contains(&(event.source.as_str(), event.id.as_str()));
                let places = events.iter().enumerate().filter(|(_, a)| about(&a.event));
                return Err(EnqueueError::Erased(places.map(|(index, _)| index).collect()));
            }
            receipts.extend(insert_rows(&mut tx, &fresh, now).await?);
            notify(&mut tx).await?;
        }
        tx.commit().await?;

        Ok(events
            .iter()
            .enumerate()
            .map(|(index, Admitted { event, .. })| {
                let known = receipts.get(&(event.source.clone(), event.id.clone()));
                Receipt {
                    event_id: event.id.clone(),
                    duplicate: known.is_none_or(|r| r.duplicate)
                        || first[&(event.source.as_str(), event.id.as_str())] != index,
                    rows: known.map(|r| r.rows.clone()).unwrap_or_default(),
                }
            })
            .collect())
    }
}

type EventKey = (String, String);

/// Inserts the events that are new and returns their numbers.
async fn insert_events(
    db: &mut PgConnection,
    events: &[Admitted],
    unique: &[usize],
    now: DateTime<Utc>,
) -> Result<HashMap<EventKey, i64>, QueueError> {
    let mut columns: (Vec<&str>, Vec<&str>, Vec<&str>, Vec<&str>) = Default::default();
    let (mut times, mut data, mut hashes) = (Vec::new(), Vec::new(), Vec::new());
    let mut traces = Vec::new();
    for event in unique.iter().map(|&i| &events[i].event) {
        columns.0.push(&event.source);
        columns.1.push(&event.id);
        columns.2.push(event.event_type.as_str());
        columns.3.push(&event.subject);
        times.push(event.time);
        data.push(serde_json::to_string(&event.data).unwrap_or_else(|_| "{}".into()));
        hashes.push(event.hash.as_slice());
        traces.push(event.traceparent.as_deref());
    }
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "INSERT INTO event (portal, source, id, type, subject, occurred_at, data, hash, received_at,
                            traceparent)
         SELECT $1, source, id, type, subject, occurred_at, data::jsonb, hash, $9, traceparent
         FROM UNNEST($2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
                     $8::bytea[], $10::text[])
              AS e (source, id, type, subject, occurred_at, data, hash, traceparent)
         ON CONFLICT ON CONSTRAINT event_key DO NOTHING
         RETURNING source, id, no",
    )
    .bind(PORTAL)
    .bind(columns.0)
    .bind(columns.1)
    .bind(columns.2)
    .bind(columns.3)
    .bind(times)
    .bind(data)
    .bind(hashes)
    .bind(now)
    .bind(traces)
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().map(|(source, id, no)| ((source, id), no)).collect())
}

/// Answers for the events at `known`, which are stored already.
async fn known_events(
    db: &mut PgConnection,
    events: &[Admitted],
    known: &[usize],
) -> Result<HashMap<EventKey, Receipt>, EnqueueError> {
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    let sources: Vec<&str> = known.iter().map(|&i| events[i].event.source.as_str()).collect();
    let ids: Vec<&str> = known.iter().map(|&i| events[i].event.id.as_str()).collect();
    let stored: Vec<(String, String, Vec<u8>)> = sqlx::query_as(
        "SELECT e.source, e.id, e.hash FROM event e
         JOIN UNNEST($2::text[], $3::text[]) AS k (source, id) USING (source, id)
         WHERE e.portal = $1",
    )
    .bind(PORTAL)
    .bind(&sources)
    .bind(&ids)
    .fetch_all(&mut *db)
    .await?;
    let hashes: HashMap<EventKey, Vec<u8>> =
        stored.into_iter().map(|(source, id, hash)| ((source, id), hash)).collect();
    let mut receipts = HashMap::new();
    let mut conflicts = Vec::new();
    for (index, Admitted { event, .. }) in events.iter().enumerate() {
        let key = (event.source.clone(), event.id.clone());
        let Some(hash) = hashes.get(&key) else { continue };
        if hash.as_slice() != event.hash.as_slice() {
            conflicts.push(index);
        }
        let receipt = Receipt { event_id: event.id.clone(), duplicate: true, rows: Vec::new() };
        receipts.entry(key).or_insert(receipt);
    }
    if !conflicts.is_empty() {
        return Err(EnqueueError::Conflict(conflicts));
    }
    let rows: Vec<(String, String, i64, String, String, String)> = sqlx::query_as(
        "SELECT v.event_source, v.event_id, v.id, v.sync_type, v.external_id, v.status
         FROM sync_queue_view v
         JOIN UNNEST($2::text[], $3::text[]) AS k (source, id)
              ON v.event_source = k.source AND v.event_id = k.id
         WHERE v.portal = $1 ORDER BY v.id",
    )
    .bind(PORTAL)
    .bind(&sources)
    .bind(&ids)
    .fetch_all(db)
    .await?;
    for (source, event_id, id, sync_type, external_id, status) in rows {
        if let Some(receipt) = receipts.get_mut(&(source, event_id)) {
            receipt.rows.push(RowReceipt { id, sync_type, external_id, status });
        }
    }
    Ok(receipts)
}

/// Inserts the rows of new events, with their records locked, and makes the records due.
async fn insert_rows(
    db: &mut PgConnection,
    fresh: &[(i64, &Admitted)],
    now: DateTime<Utc>,
) -> Result<HashMap<EventKey, Receipt>, QueueError> {
    let records = ensure_records(
        db,
        fresh
            .iter()
            .flat_map(|(_, a)| &a.changes)
            .map(|c| (c.sync_type.as_str(), c.external_id.as_str())),
        now,
    )
    .await?;
    let own: Vec<i64> = records.values().copied().collect();
    let survivors = survivors(db, &own).await?;
    let mut ids: Vec<i64> = own.iter().chain(survivors.values()).copied().collect();
    ids.sort_unstable();
    ids.dedup();
    lock(db, &ids).await?;
    if records::survivors(db, &own).await? != survivors {
        // People merged records at this very moment: the sender comes again.
        return Err(QueueError::Unavailable(sqlx::Error::PoolTimedOut));
    }

    let (mut event_nos, mut record_ids) = (Vec::new(), Vec::new());
    let (mut operations, mut priorities, mut ranks) = (Vec::new(), Vec::new(), Vec::new());
    let mut emails = Vec::new();
    let mut receipts: HashMap<i64, Receipt> = HashMap::new();
    let mut kinds: HashMap<(i64, i64), (String, String)> = HashMap::new();
    for (no, Admitted { event, changes }) in fresh {
        let receipt = Receipt { event_id: event.id.clone(), duplicate: false, rows: Vec::new() };
        receipts.insert(*no, receipt);
        for change in changes {
            let key = (change.sync_type.clone(), change.external_id.clone());
            // An alias' values go to its survivor; its delete concerns itself alone.
            let own = records[&key];
            let target = match change.operation {
                Operation::Upsert => *survivors.get(&own).unwrap_or(&own),
                Operation::Archive | Operation::Erase => own,
            };
            let priority = event.priority.unwrap_or(change.priority);
            event_nos.push(*no);
            record_ids.push(target);
            operations.push(change.operation.as_str());
            priorities.push(priority_number(priority));
            ranks.push(now - head_start(priority));
            emails.push(change.email.as_deref().map(email_hash));
            kinds.insert((*no, target), key);
        }
    }
    let rows: Vec<(i64, i64, i64)> = sqlx::query_as(
        "INSERT INTO sync_queue (event_no, record_id, operation, priority, rank, created_at, email_hash)
         SELECT event_no, record_id, operation, priority, rank, $6, email_hash
         FROM UNNEST($1::bigint[], $2::bigint[], $3::text[], $4::smallint[], $5::timestamptz[],
                     $7::bigint[])
              WITH ORDINALITY AS q (event_no, record_id, operation, priority, rank, email_hash, place)
         ORDER BY place
         RETURNING id, event_no, record_id",
    )
    .bind(event_nos)
    .bind(record_ids)
    .bind(operations)
    .bind(priorities)
    .bind(ranks)
    .bind(now)
    .bind(emails)
    .fetch_all(&mut *db)
    .await?;
    for (id, no, record) in rows {
        if let (Some(receipt), Some((sync_type, external_id))) =
            (receipts.get_mut(&no), kinds.remove(&(no, record)))
        {
            let status = "pending".into();
            receipt.rows.push(RowReceipt { id, sync_type, external_id, status });
        }
    }
    let erased: Vec<i64> = fresh
        .iter()
        .flat_map(|(_, a)| &a.changes)
        .filter(|c| c.operation == Operation::Erase)
        .map(|c| records[&(c.sync_type.clone(), c.external_id.clone())])
        .collect();
    // An erasure counts from its arrival: what comes later is refused at the door.
    sqlx::query("UPDATE crm_record SET erased_at = $2 WHERE id = ANY($1) AND erased_at IS NULL")
        .bind(&erased)
        .bind(now)
        .execute(&mut *db)
        .await?;
    // A record that waits for what this row may bring need not wait any longer.
    sqlx::query(
        "UPDATE crm_record SET waiting_until = NULL, waiting_reason = NULL
         WHERE id = ANY($1) AND waiting_until IS NOT NULL",
    )
    .bind(&ids)
    .execute(&mut *db)
    .await?;
    refresh(db, &ids, now).await?;

    let sources = fresh.iter().map(|(no, a)| (*no, a.event.source.clone()));
    Ok(sources
        .filter_map(|(no, source)| {
            let receipt = receipts.remove(&no)?;
            Some(((source, receipt.event_id.clone()), receipt))
        })
        .collect())
}
