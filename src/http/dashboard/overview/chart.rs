//! Charts, drawn by the server as SVG. Positions are computed here; the style sheet sets the
//! colours.

use chrono::{DateTime, TimeDelta, Utc};

use crate::http::dashboard::layout::when::{millis, thousands};

/// The size of the drawing in its own units. It scales with its panel.
pub(in crate::http::dashboard) const WIDTH: i64 = 640;
pub(in crate::http::dashboard) const HEIGHT: i64 = 180;
const LEFT: i64 = 52;
const RIGHT: i64 = 8;
const TOP: i64 = 10;
const BOTTOM: i64 = 24;

/// What happened in one time span, for all object kinds together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::http::dashboard) struct Bucket {
    pub(in crate::http::dashboard) synced: i64,
    pub(in crate::http::dashboard) failed: i64,
    /// The time from acceptance to HubSpot, in milliseconds. `None` if nothing was synced.
    pub(in crate::http::dashboard) p50_ms: Option<i64>,
    pub(in crate::http::dashboard) p95_ms: Option<i64>,
}

/// A series of buckets of equal length. The first begins at `since`.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Series {
    pub(in crate::http::dashboard) since: DateTime<Utc>,
    pub(in crate::http::dashboard) step: TimeDelta,
    pub(in crate::http::dashboard) buckets: Vec<Bucket>,
}

/// A rectangle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http::dashboard) struct Bar {
    pub(in crate::http::dashboard) x: String,
    pub(in crate::http::dashboard) y: String,
    pub(in crate::http::dashboard) width: String,
    pub(in crate::http::dashboard) height: String,
    pub(in crate::http::dashboard) class: &'static str,
}

/// A grid line with its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::http::dashboard) struct Tick {
    pub(in crate::http::dashboard) at: String,
    pub(in crate::http::dashboard) label: String,
}

/// A line with a dot at each value. It is interrupted where there are no values.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Line {
    pub(in crate::http::dashboard) class: &'static str,
    pub(in crate::http::dashboard) path: String,
    pub(in crate::http::dashboard) dots: Vec<(String, String)>,
}

/// A chart.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Chart {
    pub(in crate::http::dashboard) bars: Vec<Bar>,
    pub(in crate::http::dashboard) lines: Vec<Line>,
    pub(in crate::http::dashboard) rows: Vec<Tick>,
    pub(in crate::http::dashboard) columns: Vec<Tick>,
    /// A summary for people who cannot see the chart.
    pub(in crate::http::dashboard) summary: String,
}

/// A row of the table with the same data.
pub(in crate::http::dashboard) struct TableRow {
    pub(in crate::http::dashboard) from: String,
    pub(in crate::http::dashboard) synced: String,
    pub(in crate::http::dashboard) failed: String,
    pub(in crate::http::dashboard) p50: String,
    pub(in crate::http::dashboard) p95: String,
}

impl Series {
    /// Draws synced and failed rows in each bucket, stacked.
    pub(in crate::http::dashboard) fn throughput(&self) -> Chart {
        let top = nice(self.buckets.iter().map(|b| b.synced + b.failed).max().unwrap_or(0));
        let width = self.width();
        let mut bars = Vec::new();
        for (i, bucket) in self.buckets.iter().enumerate() {
            let (synced, failed) = (scaled(bucket.synced, top), scaled(bucket.failed, top));
            let x = self.x(i) + width * 0.12;
            let ground = (HEIGHT - BOTTOM) as f64;
            for (from, height, class) in [(0.0, synced, "good"), (synced, failed, "bad")] {
                if height > 0.0 {
                    let (y, width) = (ground - from - height, width * 0.76);
                    bars.push(Bar {
                        x: at(x),
                        y: at(y),
                        width: at(width),
                        height: at(height),
                        class,
                    });
                }
            }
        }
        let (synced, failed) =
            self.buckets.iter().fold((0, 0), |(s, f), b| (s + b.synced, f + b.failed));
        let summary = format!("{} synced, {} failures", thousands(synced), thousands(failed));
        Chart { bars, lines: vec![], rows: rows(top, thousands), columns: self.columns(), summary }
    }

    /// Draws the median and the 95th percentile of the time to HubSpot.
    pub(in crate::http::dashboard) fn latency(&self) -> Chart {
        let most = self.buckets.iter().filter_map(|b| b.p95_ms.max(b.p50_ms)).max();
        let top = nice(most.unwrap_or(0));
        let lines = vec![
            self.line("one", top, |bucket| bucket.p50_ms),
            self.line("two", top, |bucket| bucket.p95_ms),
        ];
        let last = self.buckets.iter().rev().find(|b| b.p50_ms.is_some());
        let summary = match last {
            Some(last) => format!(
                "lately {} for half of the rows, {} for 95 of 100",
                last.p50_ms.map_or_else(|| "-".into(), millis),
                last.p95_ms.map_or_else(|| "-".into(), millis)
            ),
            None => "nothing was synced".into(),
        };
        Chart { bars: vec![], lines, rows: rows(top, millis), columns: self.columns(), summary }
    }

    /// Returns the same data as a table, newest first. Empty buckets are left out.
    pub(in crate::http::dashboard) fn table(&self) -> Vec<TableRow> {
        let busy = self.buckets.iter().enumerate().filter(|(_, b)| b.synced + b.failed > 0);
        let row = |(i, bucket): (usize, &Bucket)| TableRow {
            from: self.start(i).format("%Y-%m-%d %H:%M").to_string(),
            synced: thousands(bucket.synced),
            failed: thousands(bucket.failed),
            p50: bucket.p50_ms.map_or_else(|| "-".into(), millis),
            p95: bucket.p95_ms.map_or_else(|| "-".into(), millis),
        };
        busy.rev().map(row).collect()
    }

    fn line(&self, class: &'static str, top: i64, value: impl Fn(&Bucket) -> Option<i64>) -> Line {
        let (mut path, mut dots, mut pen_down) = (String::new(), Vec::new(), false);
        for (i, bucket) in self.buckets.iter().enumerate() {
            let Some(value) = value(bucket) else {
                pen_down = false;
                continue;
            };
            let x = at(self.x(i) + self.width() / 2.0);
            let y = at((HEIGHT - BOTTOM) as f64 - scaled(value, top));
            path.push_str(if pen_down { "L" } else { "M" });
            path.push_str(&format!("{x} {y}"));
            dots.push((x, y));
            pen_down = true;
        }
        Line { class, path, dots }
    }

    fn width(&self) -> f64 {
        (WIDTH - LEFT - RIGHT) as f64 / self.buckets.len().max(1) as f64
    }

    fn x(&self, bucket: usize) -> f64 {
        LEFT as f64 + self.width() * bucket as f64
    }

    fn start(&self, bucket: usize) -> DateTime<Utc> {
        self.since + self.step * i32::try_from(bucket).unwrap_or(i32::MAX)
    }

    /// Returns five labels along the time axis.
    fn columns(&self) -> Vec<Tick> {
        let count = self.buckets.len();
        let whole = self.step * i32::try_from(count).unwrap_or(1);
        let form = if whole > TimeDelta::days(2) { "%d %b" } else { "%H:%M" };
        let every = count.div_ceil(5).max(1);
        let tick = |i: usize| Tick {
            at: at(self.x(i) + self.width() / 2.0),
            label: self.start(i).format(form).to_string(),
        };
        (0..count).step_by(every).map(tick).collect()
    }
}

/// Returns grid lines at zero, half and all of `top`.
fn rows(top: i64, label: impl Fn(i64) -> String) -> Vec<Tick> {
    let tick = |value: i64| Tick {
        at: at((HEIGHT - BOTTOM) as f64 - scaled(value, top)),
        label: label(value),
    };
    let mut values = vec![0, top / 2, top];
    values.dedup();
    values.into_iter().map(tick).collect()
}

/// Returns the next 1, 2 or 5 times a power of ten. It is at least 2, so that half of it is whole.
fn nice(most: i64) -> i64 {
    let mut power = 1_i64;
    while power < i64::MAX / 100 {
        for factor in [2, 5, 10] {
            if power * factor >= most {
                return power * factor;
            }
        }
        power *= 10;
    }
    most
}

fn scaled(value: i64, top: i64) -> f64 {
    (HEIGHT - TOP - BOTTOM) as f64 * value as f64 / top.max(1) as f64
}

fn at(position: f64) -> String {
    format!("{position:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(buckets: Vec<Bucket>) -> Series {
        let since = "2026-11-20T10:00:00Z".parse().unwrap();
        Series { since, step: TimeDelta::minutes(1), buckets }
    }

    #[test]
    fn bars_stand_upon_each_other_and_within_the_drawing() {
        let chart =
            series(vec![Bucket { synced: 80, failed: 20, ..Bucket::default() }, Bucket::default()])
                .throughput();
        assert_eq!(chart.bars.len(), 2, "an empty bucket has no bar");
        let number = |text: &str| text.parse::<f64>().unwrap();
        let (good, bad) = (&chart.bars[0], &chart.bars[1]);
        assert!((number(&bad.y) + number(&bad.height) - number(&good.y)).abs() < 0.2);
        assert!(number(&bad.y) >= TOP as f64 - 0.1);
        assert_eq!(chart.summary, "80 synced, 20 failures");
        assert_eq!(chart.rows.iter().map(|t| &*t.label).collect::<Vec<_>>(), ["0", "50", "100"]);
    }

    #[test]
    fn a_line_is_broken_where_nothing_was_synced() {
        let some = Bucket { synced: 1, p50_ms: Some(10), p95_ms: Some(900), ..Bucket::default() };
        let chart = series(vec![some, some, Bucket::default(), some]).latency();
        let line = &chart.lines[1];
        assert_eq!((line.path.matches('M').count(), line.path.matches('L').count()), (2, 1));
        assert_eq!(line.dots.len(), 3);
        assert_eq!(chart.rows[2].label, "1.0 s");
    }

    #[test]
    fn nothing_at_all_is_drawn_too() {
        let empty = series(vec![]);
        assert_eq!(empty.latency().summary, "nothing was synced");
        assert!(empty.throughput().columns.is_empty() && empty.table().is_empty());
    }
}
