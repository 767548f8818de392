//! Stores accepted events, their records and their rows, in one transaction and one round trip. The
//! statements are in the SQL function `enqueue`.

mod known;
mod locked;
mod records;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, Connection as _, PgConnection};

use crate::event::{Event, Priority};
use crate::mapping::Change;
use crate::queue::QueueError;
use crate::queue::model::{head_start, priority_number};
use crate::queue::views::filter::email_hash;

use known::known_events;
pub(in crate::queue) use locked::locked_records;
pub(in crate::queue) use records::ensure_records;

/// The size of an event in a statement, without its data, in bytes. Most events are smaller.
const AN_EVENT: usize = 512;
/// A statement with more data than this is large, in bytes.
const LARGE: usize = 256 * 1024;

/// An event that passed validation, and its changes to records. It contains only what its rows
/// need, because many events wait at the same time.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The event, without its data.
    pub event: Event,
    /// Its data, as JSON.
    pub data: String,
    /// The changes, one for each record, without the values.
    pub changes: Vec<Change>,
}

impl Admitted {
    /// Creates an admitted `event` with its `changes`.
    #[must_use]
    pub fn new(mut event: Event, mut changes: Vec<Change>) -> Self {
        let data = serde_json::to_string(&std::mem::take(&mut event.data));
        let mut data = data.unwrap_or_else(|_| "{}".into());
        data.shrink_to_fit();
        for change in &mut changes {
            change.properties.clear();
            change.associations.clear();
            change.warnings = Vec::new();
        }
        changes.shrink_to_fit();
        Self { event, data, changes }
    }

    /// The due queues that its rows are added to: the object kind and the priority of each.
    pub(in crate::queue) fn places(&self) -> impl Iterator<Item = (&str, Priority)> {
        let priority = |change: &Change| self.event.priority.unwrap_or(change.priority);
        self.changes.iter().map(move |change| (change.sync_type.as_str(), priority(change)))
    }

    /// The keys of the records that it changes.
    pub(in crate::queue) fn keys(&self) -> impl Iterator<Item = RecordKey> {
        self.changes.iter().map(|change| (change.sync_type.clone(), change.external_id.clone()))
    }
}

/// The key of a record: the object kind and the application's id.
pub(in crate::queue) type RecordKey = (String, String);

/// The result of storing an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The event's id.
    pub event_id: String,
    /// Whether the event had been accepted before.
    pub duplicate: bool,
    /// The rows of the event.
    pub rows: Vec<RowReceipt>,
}

/// One row of an accepted event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowReceipt {
    /// Its number.
    pub id: i64,
    /// The object kind.
    pub sync_type: String,
    /// The output of the mapping file that made the change.
    pub output: String,
    /// The application's id of the entity.
    pub external_id: String,
    /// The row's status.
    pub status: String,
}

/// How events are stored.
#[derive(Debug, Clone, Copy)]
pub(in crate::queue) struct Terms {
    /// Added to Postgres's clock when it stamps events that have no time.
    pub(in crate::queue) ahead: TimeDelta,
    /// How long to wait for a lock that another transaction holds.
    pub(in crate::queue) patience: Duration,
}

/// Why events were not stored.
#[derive(Debug, thiserror::Error)]
pub enum EnqueueError {
    /// The positions of events whose id was used before with another body. Nothing was stored.
    #[error("{} events carry an id that was used for another body", .0.len())]
    Conflict(Vec<usize>),
    /// The positions of events whose subjects were erased. Nothing was stored.
    #[error("{} events are about subjects that were erased", .0.len())]
    Erased(Vec<usize>),
    /// The database failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Id and source of an event.
type Key<'a> = (&'a str, &'a str);

fn key(admitted: &Admitted) -> Key<'_> {
    (&admitted.event.id, &admitted.event.source)
}

/// Stores all of `events` or none, and returns the result of each, in their order. An event whose
/// id is known with the same body is a duplicate and changes nothing. This function does not notify
/// anyone that something is due; see `queue::intake`.
pub(in crate::queue) async fn enqueue(
    db: &mut PgConnection,
    portal: &str,
    events: &[&Admitted],
    now: DateTime<Utc>,
    terms: Terms,
) -> Result<Vec<Receipt>, EnqueueError> {
    let mut first: HashMap<Key<'_>, usize> = HashMap::with_capacity(events.len());
    let (mut unique, mut conflicts) = (Vec::with_capacity(events.len()), Vec::new());
    for (index, &admitted) in events.iter().enumerate() {
        let seen = *first.entry(key(admitted)).or_insert(index);
        if seen == index {
            unique.push(admitted);
        } else if events[seen].event.hash != admitted.event.hash {
            conflicts.push(index);
        }
    }
    if !conflicts.is_empty() {
        return Err(EnqueueError::Conflict(conflicts));
    }
    let stored = insert(db, portal, &unique, now, terms).await.map_err(|error| {
        let everywhere = |places: Vec<usize>| {
            // All of up to ten thousand events may be at fault.
            let at_fault: HashSet<Key<'_>> = places.iter().map(|&p| key(unique[p])).collect();
            let indices = events.iter().enumerate().filter(|(_, a)| at_fault.contains(&key(a)));
            indices.map(|(index, _)| index).collect()
        };
        match places_at_fault(&error) {
            Some(("HF409", places)) => EnqueueError::Conflict(everywhere(places)),
            Some(("HF410", places)) => EnqueueError::Erased(everywhere(places)),
            _ => EnqueueError::Queue(error.into()),
        }
    })?;
    let known: Vec<&Admitted> = stored.known.iter().map(|&place| unique[place]).collect();
    let mut receipts = known_events(db, portal, &known).await?;
    let mut rows = stored.rows.into_iter();
    for admitted in unique {
        let mut receipt = Receipt {
            event_id: admitted.event.id.clone(),
            duplicate: false,
            rows: Vec::with_capacity(admitted.changes.len()),
        };
        for (change, id) in admitted.changes.iter().zip(rows.by_ref()) {
            let Some(id) = id else { continue };
            receipt.rows.push(RowReceipt {
                id,
                sync_type: change.sync_type.clone(),
                output: change.output.clone(),
                external_id: change.external_id.clone(),
                status: "pending".into(),
            });
        }
        receipts.entry(key(admitted)).or_insert(receipt);
    }
    let answer = events.iter().enumerate().filter_map(|(index, admitted)| {
        let event = key(admitted);
        // In the common case the receipt is moved, not copied.
        if first[&event] == index && events.len() == first.len() {
            return receipts.remove(&event);
        }
        let receipt = receipts.get(&event)?;
        Some(Receipt { duplicate: receipt.duplicate || first[&event] != index, ..receipt.clone() })
    });
    Ok(answer.collect())
}

/// Runs the one statement that stores `events`. No two of them may have the same key.
async fn insert(
    db: &mut PgConnection,
    portal: &str,
    events: &[&Admitted],
    now: DateTime<Utc>,
    terms: Terms,
) -> Result<Stored, sqlx::Error> {
    let n = events.len();
    let (mut sources, mut ids) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut types, mut subjects) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut times, mut payloads) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut hashes, mut traces) = (Vec::with_capacity(n), Vec::with_capacity(n));
    let (mut places, mut outputs) = (vec![], vec![]);
    let (mut kinds, mut externals) = (vec![], vec![]);
    let (mut operations, mut priorities, mut ranks) = (vec![], vec![], vec![]);
    let mut emails = vec![];
    let (mut firsts, mut lasts) = (Vec::with_capacity(n), Vec::with_capacity(n));
    for (place, Admitted { event, data, changes }) in (1_i32..).zip(events) {
        sources.push(event.source.as_str());
        ids.push(event.id.as_str());
        types.push(event.event_type.as_str());
        subjects.push(event.subject.as_str());
        times.push(event.time);
        payloads.push(data.as_str());
        hashes.push(event.hash.as_slice());
        traces.push(event.traceparent.as_deref());
        firsts.push(ordinal(places.len() + 1));
        lasts.push(ordinal(places.len() + changes.len()));
        for change in changes {
            let priority = event.priority.unwrap_or(change.priority);
            places.push(place);
            outputs.push(change.output.as_str());
            kinds.push(change.sync_type.as_str());
            externals.push(change.external_id.as_str());
            operations.push(change.operation.as_str());
            priorities.push(priority_number(priority));
            ranks.push(now - head_start(priority));
            emails.push(change.email.as_deref().map(email_hash));
        }
    }
    let text: usize = events.iter().map(|admitted| admitted.data.len()).sum();
    // A buffer that grows by itself could become twice as large.
    let mut arguments = PgArguments::default();
    arguments.reserve(22, text + n * AN_EVENT);
    let (rows, known): (Option<Vec<Option<i64>>>, Vec<i32>) = sqlx::query_as_with(
            "SELECT row_ids, known
             FROM enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                          $18, $19, $20, $21, $22)",
            arguments,
        )
        .bind(portal)
        .bind(now)
        .bind(terms.ahead)
        .bind(i32::try_from(terms.patience.as_millis()).unwrap_or(i32::MAX))
        .bind(sources)
        .bind(ids)
        .bind(types)
        .bind(subjects)
        .bind(times)
        .bind(payloads)
        .bind(hashes)
        .bind(traces)
        .bind(firsts)
        .bind(lasts)
        .bind(places)
        .bind(outputs)
        .bind(kinds)
        .bind(externals)
        .bind(operations)
        .bind(priorities)
        .bind(ranks)
        .bind(emails)
        .fetch_one(&mut *db)
        .await?;
    if text > LARGE {
        // The connection would keep the memory of its largest statement.
        db.shrink_buffers();
    }
    let known = known.into_iter().filter_map(|place| usize::try_from(place - 1).ok());
    Ok(Stored { rows: rows.unwrap_or_default(), known: known.collect() })
}

/// Converts a place in a Postgres array. No request has more changes than an `i32` can count.
fn ordinal(place: usize) -> i32 {
    i32::try_from(place).unwrap_or(i32::MAX)
}

/// The answer of the statement.
struct Stored {
    /// The ids of the rows, in the order of the changes. `None` for events that were known.
    rows: Vec<Option<i64>>,
    /// The places of the events that were known.
    known: Vec<usize>,
}

/// The error code of `error` and the places that it names, counted from 0.
fn places_at_fault(error: &sqlx::Error) -> Option<(&str, Vec<usize>)> {
    let sqlx::Error::Database(error) = error else { return None };
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    let places = error.detail()?.split(',').filter_map(|p| p.parse::<usize>().ok()?.checked_sub(1));
    Some((error.code(), places.collect()))
}
