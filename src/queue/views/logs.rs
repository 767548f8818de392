//! Reads the log: calls to HubSpot, and attempts of rows that did not succeed, newest first.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::{Postgres, QueryBuilder};

use crate::queue::views::page::{Listing, UnknownCursor};
use crate::queue::{Queue, QueueError};

/// A call, or an attempt of a row that did not succeed.
#[derive(Debug, Clone, Serialize, sqlx::FromRow)]
pub struct LogLine {
    /// `call` or `attempt`.
    pub kind: String,
    /// The line's number among the lines of its kind.
    #[serde(skip)]
    pub number: i64,
    /// When the call was sent, or when the attempt ended.
    pub at: DateTime<Utc>,
    /// The id of the call.
    pub call_id: Option<i64>,
    /// What the call was for, such as `upsert contacts`.
    pub purpose: Option<String>,
    /// The object kind.
    pub sync_type: Option<String>,
    /// The number of inputs in the call's body.
    pub inputs: Option<i32>,
    /// The status of the reply. `None` if there was no reply, or none yet.
    pub http_status: Option<i32>,
    /// The time from sending the call to its reply, in milliseconds.
    pub duration_ms: Option<i32>,
    /// `ok`, or the class of the cause. `None` while the call is in flight.
    pub class: Option<String>,
    /// The error's code.
    pub code: Option<String>,
    /// What happened, without personal data.
    pub message: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The row of the attempt.
    pub row_id: Option<i64>,
}

/// Selects log lines. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogFilter {
    /// `call` or `attempt`.
    pub kind: Option<String>,
    /// The object kind.
    pub sync_type: Option<String>,
    /// The class.
    pub class: Option<String>,
    /// Only lines that did not succeed.
    pub failures: bool,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
}

impl LogFilter {
    /// Whether the filter matches `line`.
    #[must_use]
    pub fn names(&self, line: &LogLine) -> bool {
        let is = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        is(&self.kind, Some(&line.kind))
            && is(&self.sync_type, line.sync_type.as_deref())
            && is(&self.class, line.class.as_deref())
            && !(self.failures && line.class.as_deref() == Some("ok"))
            && self.since.is_none_or(|since| line.at >= since)
    }
}

/// A position in the log: the newest call and the newest attempt on one side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogCursor {
    /// Whether the cursor leads to newer lines.
    pub newer: bool,
    /// The number of a call.
    pub call: i64,
    /// The number of an attempt.
    pub attempt: i64,
}

impl fmt::Display for LogCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}-{}", if self.newer { 'n' } else { 'o' }, self.call, self.attempt)
    }
}

impl FromStr for LogCursor {
    type Err = UnknownCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (way, rest) = text.split_at_checked(1).ok_or(UnknownCursor)?;
        let (call, attempt) = rest.split_once('-').ok_or(UnknownCursor)?;
        let number = |digits: &str| digits.parse::<i64>().map_err(|_| UnknownCursor);
        let newer = match way {
            "n" => true,
            "o" => false,
            _ => return Err(UnknownCursor),
        };
        Ok(Self { newer, call: number(call)?, attempt: number(attempt)? })
    }
}

/// How to find the lines of one kind.
#[derive(Clone, Copy)]
struct Part {
    kind: &'static str,
    select: &'static str,
    id: &'static str,
    at: &'static str,
    class: &'static str,
}

const CALLS: Part = Part {
    kind: "call",
    select: "SELECT 'call' AS kind, id AS number, reserved_at AS at, id AS call_id, purpose,
        sync_type, inputs, http_status, duration_ms, class, NULL::text AS code, message,
        correlation_id, NULL::bigint AS row_id FROM hubspot_call WHERE portal = ",
    id: "id",
    at: "reserved_at",
    class: "class",
};
const ATTEMPTS: Part = Part {
    kind: "attempt",
    select: "SELECT 'attempt' AS kind, a.id AS number, a.attempted_at AS at, a.call_id,
        NULL::text AS purpose, r.sync_type, NULL::int AS inputs, a.http_status,
        NULL::int AS duration_ms, a.class, a.code, a.message, a.correlation_id, a.row_id
        FROM attempt a JOIN sync_queue q ON q.id = a.row_id JOIN crm_record r ON r.id = q.record_id
        WHERE a.portal = ",
    id: "a.id",
    at: "a.attempted_at",
    class: "a.class",
};

impl Queue {
    /// Returns a page of the log. It includes calls in flight, without class and status.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn logs(
        &self,
        filter: &LogFilter,
        cursor: Option<LogCursor>,
        limit: i64,
    ) -> Result<Listing<LogLine>, QueueError> {
        let newer = cursor.is_some_and(|c| c.newer);
        let calls = self.log_part(CALLS, filter, cursor, limit).await?;
        let attempts = self.log_part(ATTEMPTS, filter, cursor, limit).await?;
        Ok(merged(calls, attempts, cursor, newer, usize::try_from(limit).unwrap_or(usize::MAX)))
    }

    /// Returns the lines of one kind after `cursor`, in the order of their numbers, one more than
    /// `limit`.
    async fn log_part(
        &self,
        part: Part,
        filter: &LogFilter,
        cursor: Option<LogCursor>,
        limit: i64,
    ) -> Result<VecDeque<LogLine>, QueueError> {
        if filter.kind.as_deref().is_some_and(|wanted| wanted != part.kind) {
            return Ok(VecDeque::new());
        }
        let newer = cursor.is_some_and(|c| c.newer);
        let mut query = QueryBuilder::<Postgres>::new(part.select);
        query.push_bind(self.portal().to_owned());
        if let Some(cursor) = cursor {
            let number = if part.kind == "call" { cursor.call } else { cursor.attempt };
            query.push(" AND ").push(part.id).push(if newer { " > " } else { " < " });
            query.push_bind(number);
        }
        if let Some(sync_type) = &filter.sync_type {
            query.push(" AND sync_type = ").push_bind(sync_type.clone());
        }
        if let Some(class) = &filter.class {
            query.push(" AND ").push(part.class).push(" = ").push_bind(class.clone());
        }
        if filter.failures {
            query.push(" AND ").push(part.class).push(" <> 'ok'");
        }
        if let Some(since) = filter.since {
            query.push(" AND ").push(part.at).push(" >= ").push_bind(since);
        }
        query.push(" ORDER BY ").push(part.id).push(if newer { " ASC" } else { " DESC" });
        query.push(" LIMIT ").push_bind(limit + 1);
        Ok(query.build_query_as::<LogLine>().fetch_all(&self.pool).await?.into())
    }

    /// The position where following the log begins: after the lines that have ended, before the
    /// calls in flight.
    pub(crate) async fn newest_log(&self, now: DateTime<Utc>) -> Result<LogCursor, QueueError> {
        let (call, attempt) = sqlx::query_as(
            "SELECT COALESCE((SELECT min(id) - 1 FROM hubspot_call
                              WHERE portal = $1 AND free_at > $2 AND class IS NULL),
                             (SELECT max(id) FROM hubspot_call), 0),
                    COALESCE((SELECT max(id) FROM attempt), 0)",
        )
        .bind(self.portal())
        .bind(now)
        .fetch_one(&self.pool)
        .await?;
        Ok(LogCursor { newer: true, call, attempt })
    }
}

/// Merges two lists, each ordered by number, by comparing their first lines. Cutting the merged
/// list cuts each of them at a number, so the next page begins right after it.
fn merged(
    mut calls: VecDeque<LogLine>,
    mut attempts: VecDeque<LogLine>,
    cursor: Option<LogCursor>,
    newer: bool,
    limit: usize,
) -> Listing<LogLine> {
    let mut lines = Vec::with_capacity(limit.min(calls.len() + attempts.len()));
    while lines.len() < limit {
        let call_first = match (calls.front(), attempts.front()) {
            (Some(call), Some(attempt)) => (call.at <= attempt.at) == newer,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => break,
        };
        lines.extend(if call_first { calls.pop_front() } else { attempts.pop_front() });
    }
    let more = !(calls.is_empty() && attempts.is_empty());
    if newer {
        lines.reverse();
    }
    neighbours(lines, cursor, more)
}

/// The cursors around `lines`. If the page has no line of a kind, the bound of that kind stays the
/// same.
fn neighbours(lines: Vec<LogLine>, cursor: Option<LogCursor>, more: bool) -> Listing<LogLine> {
    let towards = |newer: bool| {
        let bound = |kind: &str, came: Option<i64>| {
            let numbers = lines.iter().filter(|line| line.kind == kind).map(|line| line.number);
            let seen = if newer { numbers.max() } else { numbers.min() };
            // A page towards newer lines begins above its cursor, a page towards older lines below
            // it.
            let turned = |c: i64, was_newer: bool| match (was_newer, newer) {
                (true, false) => c.saturating_add(1),
                // The start of the newest page is not a number of a line.
                (false, true) if c < i64::MAX => c.saturating_sub(1),
                (false, true) => 0,
                _ => c,
            };
            let start = if newer { 0 } else { i64::MAX };
            seen.unwrap_or_else(|| {
                came.zip(cursor).map_or(start, |(number, c)| turned(number, c.newer))
            })
        };
        let call = bound("call", cursor.map(|c| c.call));
        LogCursor { newer, call, attempt: bound("attempt", cursor.map(|c| c.attempt)) }.to_string()
    };
    let (has_newer, has_older) = match cursor {
        Some(c) if c.newer => (more, true),
        Some(_) => (true, more),
        None => (false, more),
    };
    let next = (has_older && !lines.is_empty()).then(|| towards(false));
    let prev = (has_newer && !lines.is_empty()).then(|| towards(true));
    Listing { items: lines, next, prev }
}
