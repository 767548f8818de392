//! Shows progress, as a bar on a terminal and as occasional lines elsewhere, and the summary at the
//! end.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::out::{note, say};
use crate::cli::text::{count, number, span, time_left};

/// How often a line is printed without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// What was done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) accepted: u64,
    pub(super) duplicates: u64,
    pub(super) refused: u64,
}

impl Counts {
    /// Events that the server has judged.
    pub(super) fn sent(self) -> u64 {
        self.accepted + self.duplicates + self.refused
    }
}

/// Shows progress on standard error.
pub(super) struct Show {
    bar: ProgressBar,
    quiet: bool,
    started: Instant,
    said: Instant,
    /// Events that were done before this run.
    from: u64,
    total: Option<u64>,
}

impl Show {
    pub(super) fn new(from: u64, total: Option<u64>) -> Self {
        let quiet = !std::io::stderr().is_terminal();
        let bar = match total {
            _ if quiet => ProgressBar::hidden(),
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = match total {
            Some(_) => "{bar:30} {human_pos} of {human_len} events  {msg}",
            None => "{spinner} {human_pos} events  {msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(200));
        bar.set_position(from);
        let now = Instant::now();
        Self { bar, quiet, started: now, said: now, from, total }
    }

    /// Prints a line without disturbing the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.suspend(|| note!("{line}"));
    }

    /// `at` events of the file have come as far as `what` says.
    pub(super) fn tick(&mut self, at: u64, what: &str, trouble: Option<&str>) {
        let elapsed = self.started.elapsed();
        let done = at.saturating_sub(self.from);
        let pace = done as f64 / elapsed.as_secs_f64().max(0.001);
        let left = self.total.and_then(|total| time_left(done, total.saturating_sub(at), elapsed));
        let mut text = format!("{what}, {}/s", number(pace.round() as u64));
        if let Some(left) = left {
            text.push_str(&format!(", {} left", span(left)));
        }
        if let Some(trouble) = trouble {
            text.push_str(&format!("; {trouble}, retrying"));
        }
        if self.quiet {
            if self.said.elapsed() >= LINE_EVERY {
                self.said = Instant::now();
                let of = self.total.map(|t| format!(" of {}", number(t))).unwrap_or_default();
                note!("{}{of} events {text}", number(at));
            }
            return;
        }
        self.bar.set_position(at);
        self.bar.set_message(text);
    }

    /// Takes the bar away and answers the time it was there.
    pub(super) fn end(&self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}

/// The results of events that were followed.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) failed: u64,
    pub(super) waiting: u64,
    /// The first failures, for programs.
    pub(super) failures: Vec<Value>,
}

/// The summary, for people or for programs.
pub(super) fn summary(
    counts: Counts,
    from: u64,
    elapsed: Duration,
    followed: Option<Followed>,
    as_json: bool,
) {
    let Counts { accepted, duplicates, refused } = counts;
    if as_json {
        let mut summary = json!({
            "sent": counts.sent(), "accepted": accepted, "duplicates": duplicates,
            "refused": refused, "resumed_after": from,
            "seconds": (elapsed.as_secs_f64() * 1000.0).round() / 1000.0 });
        if let Some(followed) = followed {
            summary["failed"] = followed.failed.into();
            summary["waiting"] = followed.waiting.into();
            summary["failures"] = followed.failures.into();
        }
        say!("{summary}");
        return;
    }
    say!(
        "sent {} in {:.1} s: {} accepted, {}, {} refused",
        count(counts.sent(), "event"),
        elapsed.as_secs_f64(),
        number(accepted),
        count(duplicates, "duplicate"),
        number(refused),
    );
    if let Some(followed) = followed.filter(|f| f.failed + f.waiting > 0) {
        let (failed, waiting) = (number(followed.failed), number(followed.waiting));
        say!("{failed} failed, {waiting} waiting for another record or value");
    }
}
