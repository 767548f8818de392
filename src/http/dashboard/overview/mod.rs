//! The overview page: waiting rows, throughput, use of limits, and errors.

mod chart;
pub(super) mod gates;
mod tasks;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::errors::Group;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::link::link;
use crate::http::dashboard::layout::page::{Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::{When, span, thousands};
use crate::http::dashboard::overview::chart::{Bucket, Chart, Series, TableRow};
use crate::http::dashboard::overview::gates::GateLine;
use crate::http::dashboard::overview::tasks::TaskLine;
use crate::operator::status::Snapshot;
use crate::operator::views::{Account, PulsePoint, Status, Totals};

/// The most groups of errors on this page. The errors page has more.
const ERRORS: usize = 5;

/// The time spans of the charts: word, label, length and the length of a bucket.
const RANGES: [(&str, &str, TimeDelta, TimeDelta); 3] = [
    ("1h", "the last hour", TimeDelta::hours(1), TimeDelta::minutes(1)),
    ("24h", "the last 24 hours", TimeDelta::hours(24), TimeDelta::minutes(30)),
    ("7d", "the last 7 days", TimeDelta::days(7), TimeDelta::hours(3)),
];

struct Tile {
    label: &'static str,
    count: String,
    href: String,
}

struct Gauge {
    id: &'static str,
    label: &'static str,
    used: String,
    limit: String,
    value: i64,
    max: i64,
    high: i64,
    note: String,
}

struct Kind {
    name: String,
    /// The status, the number of rows, and the link to them.
    counts: Vec<(&'static str, String, String)>,
    last: Option<When>,
}

struct Held {
    holder: String,
    sync_type: String,
    records: String,
    until: When,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    page: Page,
    ranges: Vec<(&'static str, &'static str, bool)>,
    range_label: &'static str,
    paused: bool,
    gates: Vec<GateLine>,
    tiles: Vec<Tile>,
    oldest: Option<String>,
    last_minute: String,
    /// Associations whose other record does not exist yet.
    parked: String,
    throughput: Chart,
    latency: Chart,
    table: Vec<TableRow>,
    gauges: Vec<Gauge>,
    statuses: [&'static str; 5],
    kinds: Vec<Kind>,
    errors: Vec<Group>,
    leases: Vec<Held>,
    tasks: Vec<TaskLine>,
    tasks_summary: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Asked {
    range: String,
}

/// `GET /admin`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(asked): Query<Asked>,
) -> Result<Response, Failure> {
    let now = visitor.now;
    let range = RANGES.iter().find(|range| range.0 == asked.range).unwrap_or(&RANGES[0]);
    let (word, range_label, length, step) = *range;
    let snapshot = state.operator.recent_status().await?;
    let Snapshot { totals, gates, account, leases, tasks, .. } = &*snapshot;
    let since = start(now, length, step);
    let series = series(&state.operator.pulse(since, step).await?, since, step, now);
    let errors = state.operator.recent_errors().await?;
    let held = leases.iter().cloned().map(|lease| Held {
        holder: lease.holder,
        sync_type: lease.sync_type,
        records: thousands(lease.records),
        until: visitor.when(lease.until),
    });
    let tasks = TaskLine::all(tasks, &visitor);
    Ok(page(&Overview {
        page: Page::new(&visitor, Section::Overview, "Overview"),
        ranges: RANGES.iter().map(|range| (range.0, range.0, range.0 == word)).collect(),
        range_label,
        paused: gates.iter().any(|gate| gate.kind == "paused"),
        gates: gates.iter().cloned().map(|gate| GateLine::of(gate, &visitor)).collect(),
        tiles: tiles(totals),
        oldest: totals.oldest_waiting.map(|since| span(now - since)),
        last_minute: thousands(totals.synced_last_minute),
        parked: thousands(totals.parked_associations),
        throughput: series.throughput(),
        latency: series.latency(),
        table: series.table(),
        gauges: gauges(&state, totals, account),
        statuses: Status::ALL.map(Status::as_str),
        kinds: kinds(&state, totals, &visitor),
        errors: errors
            .iter()
            .take(ERRORS)
            .cloned()
            .map(|group| Group::of(group, &visitor))
            .collect(),
        leases: held.collect(),
        tasks_summary: tasks::summary(&tasks),
        tasks,
    }))
}

/// Returns the start of the first bucket that is needed to cover `length` up to now.
fn start(now: DateTime<Utc>, length: TimeDelta, step: TimeDelta) -> DateTime<Utc> {
    let seconds = step.num_seconds().max(1);
    let floor = now.timestamp() - now.timestamp().rem_euclid(seconds);
    DateTime::from_timestamp(floor, 0).unwrap_or(now) - length + step
}

/// Combines the points of all object kinds. The 95th percentile is that of the slowest kind. The
/// median is weighted by the number of synced rows.
fn series(
    points: &[PulsePoint],
    since: DateTime<Utc>,
    step: TimeDelta,
    now: DateTime<Utc>,
) -> Series {
    let seconds = step.num_seconds().max(1);
    let count = usize::try_from((now - since).num_seconds() / seconds + 1).unwrap_or(0).min(500);
    let mut buckets = vec![Bucket::default(); count];
    let mut weighed = vec![0.0; count];
    for point in points {
        let index = (point.at - since).num_seconds().div_euclid(seconds);
        let Some(i) = usize::try_from(index).ok().filter(|i| *i < count) else { continue };
        let bucket = &mut buckets[i];
        bucket.synced += point.synced;
        bucket.failed += point.failed;
        if let Some(p50) = point.p50_ms {
            weighed[i] += p50 * point.synced as f64;
        }
        bucket.p95_ms = bucket.p95_ms.max(point.p95_ms.map(|ms| ms.round() as i64));
    }
    for (bucket, weighed) in buckets.iter_mut().zip(weighed) {
        let mean = weighed / bucket.synced.max(1) as f64;
        bucket.p50_ms = bucket.p95_ms.map(|_| mean.round() as i64);
    }
    Series { since, step, buckets }
}

fn tiles(totals: &Totals) -> Vec<Tile> {
    let tile = |status: Status| {
        let word = status.as_str();
        let rows = totals.counts.iter().filter(|count| count.status == word);
        Tile {
            label: if status == Status::Failed { "failed now" } else { word },
            count: thousands(rows.map(|count| count.rows).sum()),
            href: link("/admin/queue", [("status", word)]),
        }
    };
    Status::ALL.into_iter().map(tile).collect()
}

fn kinds(state: &AppState, totals: &Totals, visitor: &Visitor) -> Vec<Kind> {
    let kind = |name: &str| {
        let count = |status: Status| {
            let word = status.as_str();
            let mut of = totals.counts.iter().filter(|c| c.sync_type == name && c.status == word);
            let rows = of.next().map_or(0, |count| count.rows);
            let href = link("/admin/queue", [("sync_type", name), ("status", word)]);
            (word, thousands(rows), href)
        };
        let last = totals.last_sync.iter().find(|last| last.sync_type == name);
        Kind {
            name: name.to_owned(),
            counts: Status::ALL.into_iter().map(count).collect(),
            last: last.map(|last| visitor.when(last.last_synced_at)),
        }
    };
    state.operator.mapping().objects().iter().map(|object| kind(&object.sync_type)).collect()
}

fn gauges(state: &AppState, totals: &Totals, account: &Account) -> Vec<Gauge> {
    let gauge = |id, label, used: i64, ours: u32, theirs: Option<i32>, note: String| {
        let max = theirs.map_or(i64::from(ours), |theirs| i64::from(theirs).min(i64::from(ours)));
        Gauge {
            id,
            label,
            used: thousands(used),
            limit: thousands(max),
            value: used.clamp(0, max),
            max,
            high: max * 9 / 10,
            note,
        }
    };
    let seconds = state.operator.limits().window_ms / 1_000;
    let window = format!("Calls that HubSpot may still count within any {seconds} seconds.");
    let day = match account.day_started_at {
        Some(_) => format!("The day ends at midnight, {}.", account.time_zone),
        None => "No call has been made yet.".into(),
    };
    let (per_window, per_day) =
        (state.operator.limits().per_window, state.operator.limits().per_day);
    let (in_window, today) = (totals.window_used, i64::from(account.day_used));
    vec![
        gauge("budget-window", "This window", in_window, per_window, account.window_limit, window),
        gauge("budget-day", "Today", today, per_day, account.day_limit, day),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_all_kinds_are_laid_together() {
        let now: DateTime<Utc> = "2026-11-20T10:03:30Z".parse().unwrap();
        let (length, step) = (TimeDelta::minutes(4), TimeDelta::minutes(1));
        let since = start(now, length, step);
        assert_eq!(since.to_rfc3339(), "2026-11-20T10:00:00+00:00");
        let point = |kind: &str, synced, p50| PulsePoint {
            at: since + TimeDelta::minutes(1),
            sync_type: kind.into(),
            synced,
            failed: 1,
            p50_ms: Some(p50),
            p95_ms: Some(p50 * 2.0),
        };
        let series = series(&[point("a", 3, 100.0), point("b", 1, 500.0)], since, step, now);
        assert_eq!(series.buckets.len(), 4);
        let bucket = series.buckets[1];
        assert_eq!((bucket.synced, bucket.failed), (4, 2));
        assert_eq!((bucket.p50_ms, bucket.p95_ms), (Some(200), Some(1_000)));
        assert_eq!(series.buckets[0], Bucket::default());
    }
}
