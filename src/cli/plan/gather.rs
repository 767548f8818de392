//! Turns events into records, as if none of them were in HubSpot yet. It uses the server's own
//! functions to decide which events are refused.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::cli::input::{Input, InputArgs, Item};
use crate::cli::{exit, out};
use crate::config::Config;
use crate::event::{Admission, Event, Fault, admit, legible};
use crate::mapping::{Change, Input as Mapped, Mapping};
use crate::queue::model::{Record, Row, head_start};

/// As many as one request may carry.
const MOST: usize = 10_000;

/// An event that the server would refuse.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    pub(super) line: u64,
    pub(super) faults: Vec<Fault>,
}

/// A record with what it is owed.
#[derive(Debug)]
pub(super) struct Owed {
    pub(super) sync_type: String,
    pub(super) record: Record,
    /// How long before its turn it goes, for its priority.
    pub(super) head_start: TimeDelta,
}

/// The result for the events.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Records, in the order in which they are first named.
    pub(super) records: Vec<Owed>,
    pub(super) refused: Vec<Refused>,
    /// The line of each row.
    pub(super) lines: HashMap<i64, u64>,
    /// Event by event what no mapping file reads: the first record it concerns, line, pointers.
    pub(super) unread: Vec<(usize, u64, Vec<String>)>,
    /// Lines that say what an earlier one said.
    pub(super) duplicates: Vec<(u64, u64)>,
    /// Accepted events, as read.
    pub(super) events: Vec<serde_json::Value>,
}

/// Reads the events of `args`. Blocks.
///
/// # Errors
/// When the file cannot be read, or holds more events than one request may.
pub(super) fn items(args: &InputArgs) -> Result<Vec<Item>> {
    let input = Input::open(args)?;
    if let Some(columns) = input.columns() {
        out::hint(format_args!("{}", columns.table()));
    }
    let mut items = Vec::new();
    input.read(&mut |item| {
        items.push(item);
        items.len() <= MOST
    })?;
    if items.len() > MOST {
        let message = format!("{}: more than {MOST} events; preview a part of them", args.name());
        return Err(exit::wrong(message));
    }
    Ok(items)
}

/// What the server would make of `items` at `now`.
pub(super) fn gather(
    items: Vec<Item>,
    mapping: &Mapping,
    config: &Config,
    now: DateTime<Utc>,
) -> Gathered {
    let ingest = config.ingest_settings();
    let admission =
        Admission { default_source: &ingest.default_source, now, max_ahead: ingest.max_ahead };
    let mut gathered = Gathered::default();
    let mut seen: BTreeMap<(String, String), ([u8; 32], u64)> = BTreeMap::new();
    let mut places: HashMap<(String, String), usize> = HashMap::new();
    for item in items {
        let line = item.line;
        let judged = item
            .event
            .map_err(|unreadable| vec![Fault::new(0, "", "unreadable", unreadable.reason)]);
        let (event, changes, raw) = match judged.and_then(|raw| {
            let (event, changes) = judge(&raw, mapping, &admission)?;
            Ok((event, changes, raw))
        }) {
            Ok(sound) => sound,
            Err(faults) => {
                gathered.refused.push(Refused { line, faults });
                continue;
            }
        };
        match seen.get(&(event.source.clone(), event.id.clone())) {
            Some((hash, first)) if *hash == event.hash => {
                gathered.duplicates.push((line, *first));
                continue;
            }
            Some((_, first)) => {
                let detail = format!("line {first} has this id and another body");
                let faults = vec![Fault::new(0, "/id", "id_reused", detail)];
                gathered.refused.push(Refused { line, faults });
                continue;
            }
            None => {}
        }
        seen.insert((event.source.clone(), event.id.clone()), (event.hash, line));
        let first = gathered.take(&event, changes, line, now, &mut places);
        let unread = mapping.unread(&Mapped::from(&event));
        if let (Some(first), false) = (first, unread.is_empty()) {
            gathered.unread.push((first, line, unread));
        }
        gathered.events.push(raw);
    }
    gathered
}

fn judge(
    raw: &serde_json::Value,
    mapping: &Mapping,
    admission: &Admission<'_>,
) -> Result<(Event, Vec<Change>), Vec<Fault>> {
    let event = admit(0, raw, admission, Uuid::now_v7).map_err(|mut faults| {
        // As the server does: the faults of its data are in the same answer.
        if let Some((event_type, subject, data)) = legible(raw) {
            let input = Mapped { event_type: &event_type, subject, data };
            faults.extend(mapping.map(&input).err().unwrap_or_default());
        }
        faults
    })?;
    let changes = mapping.map(&Mapped::from(&event))?;
    Ok((event, changes))
}

impl Gathered {
    /// Adds the rows of an event; answers the first record that it concerns.
    fn take(
        &mut self,
        event: &Event,
        changes: Vec<Change>,
        line: u64,
        now: DateTime<Utc>,
        places: &mut HashMap<(String, String), usize>,
    ) -> Option<usize> {
        let mut first = None;
        for change in changes {
            let name = (change.sync_type.clone(), change.external_id.clone());
            let place = *places.entry(name).or_insert_with(|| {
                let number = i64::try_from(self.records.len()).unwrap_or(i64::MAX) + 1;
                self.records.push(Owed {
                    sync_type: change.sync_type.clone(),
                    record: Record::blank(number, change.external_id.clone()),
                    head_start: TimeDelta::zero(),
                });
                self.records.len() - 1
            });
            let id = i64::try_from(self.lines.len()).unwrap_or(i64::MAX) + 1;
            self.lines.insert(id, line);
            let owed = &mut self.records[place];
            let head_start = head_start(event.priority.unwrap_or(change.priority));
            owed.head_start = owed.head_start.max(head_start);
            owed.record.rows.push(Row {
                id,
                output: change.output,
                operation: change.operation,
                retry_count: 0,
                along: false,
                created_at: now,
                occurred_at: event.time.unwrap_or(now),
                event_type: event.event_type.to_string(),
                subject: event.subject.clone(),
                data: Some(event.data.clone().into()),
                of_alias: None,
                alias_tombstone: None,
            });
            first = first.or(Some(place));
        }
        first
    }
}
