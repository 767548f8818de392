//! Where the lines begin.
//!
//! The index of what is due keeps an entry for each record that has left the line, until a vacuum may
//! remove it: not while anybody holds a snapshot open. They all stand at the head, and to pass a
//! hundred thousand of them at each look would cost more than the work. So a process remembers where
//! each line began when it looked last, and passes them only now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::queue::model::Stage;

/// A look from the very beginning is quick enough to be made each time.
const QUICK: Duration = Duration::from_millis(5);
/// Else it may take a twentieth of the time, and is made every few seconds at least.
const SHARE: u32 = 20;
const LONGEST: Duration = Duration::from_secs(5);

/// The line of an object kind before a call.
type Line = (String, Stage);

/// What a process knows of the heads of the lines. Who joins a line before its known head is seen
/// by the next look from the beginning: late by seconds at most, and only where such looks are slow.
#[derive(Debug, Default)]
pub(in crate::queue) struct Lines(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    heads: HashMap<Line, DateTime<Utc>>,
    /// Until then looks begin at the known heads.
    until: Option<Instant>,
    /// How often something may have joined before a head.
    joined: u64,
}

impl Lines {
    /// Whether to look from the known heads.
    pub(in crate::queue) fn known(&self) -> bool {
        self.lock().until.is_some_and(|until| Instant::now() < until)
    }

    /// Where the line of `kind` before `stage` began.
    pub(in crate::queue) fn head(&self, kind: &str, stage: Stage) -> Option<DateTime<Utc>> {
        self.lock().heads.get(&(kind.to_owned(), stage)).copied()
    }

    /// A look found that the line of `kind` before `stage` begins at `rank`.
    pub(in crate::queue) fn begins(&self, kind: &str, stage: Stage, rank: DateTime<Utc>) {
        self.lock().heads.insert((kind.to_owned(), stage), rank);
    }

    /// A look from the very beginning starts; the answer is for its end.
    pub(in crate::queue) fn looks(&self) -> u64 {
        self.lock().joined
    }

    /// A look that started with `joined` has taken so long.
    pub(in crate::queue) fn looked(&self, joined: u64, took: Duration) {
        let mut known = self.lock();
        // What has joined meanwhile it may have missed.
        if took >= QUICK && known.joined == joined {
            known.until = Some(Instant::now() + (took * SHARE).min(LONGEST));
        }
    }

    /// Something may have joined before a head: the next look begins at the beginning.
    pub(in crate::queue) fn joined(&self) {
        let mut known = self.lock();
        known.until = None;
        known.joined += 1;
    }

    /// Rows have come, each for a record of a kind and at a rank.
    pub(in crate::queue) fn came<'a>(&self, rows: impl Iterator<Item = (&'a str, DateTime<Utc>)>) {
        let rows: HashSet<(&str, DateTime<Utc>)> = rows.collect();
        let overtakes = {
            let known = self.lock();
            known
                .heads
                .iter()
                .any(|((kind, _), head)| rows.iter().any(|(of, rank)| of == kind && rank < head))
        };
        if overtakes {
            self.joined();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(1);

    #[test]
    fn only_a_slow_look_spares_the_next_until_somebody_may_have_joined() {
        let lines = Lines::default();
        lines.looked(lines.looks(), Duration::from_millis(1));
        assert!(!lines.known(), "a quick look is made each time");
        lines.looked(lines.looks(), SLOW);
        assert!(lines.known());
        lines.joined();
        assert!(!lines.known());
        let look = lines.looks();
        lines.joined();
        lines.looked(look, SLOW);
        assert!(!lines.known(), "who joined during the look may have been missed");
    }

    #[test]
    fn a_row_before_the_head_of_its_kind_is_looked_for_at_once() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("in range");
        let lines = Lines::default();
        lines.begins("contact", Stage::Create, at(100));
        lines.looked(lines.looks(), SLOW);
        lines.came([("contact", at(100)), ("deal", at(1))].into_iter());
        assert!(lines.known());
        lines.came([("contact", at(99))].into_iter());
        assert!(!lines.known());
    }
}
