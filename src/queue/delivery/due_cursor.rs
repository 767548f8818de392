//! Remembers where each due queue starts, so that scans skip index entries that vacuum cannot
//! remove yet.
//!
//! A due queue is the index range of the due records of one object kind and call. The index keeps
//! an entry for each record that is no longer due until vacuum removes it, and vacuum cannot do
//! that while any snapshot is open. All these entries are at the start of the range. Reading a
//! hundred thousand of them in each scan would cost more than the work itself. So each process
//! remembers where each due queue started at its last scan, and scans from the very beginning only
//! now and then.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::queue::model::Stage;

/// A scan from the very beginning that is faster than this is made each time.
const QUICK: Duration = Duration::from_millis(5);
/// A slower scan may use at most one part in this many of the time.
const SHARE: u32 = 20;
const LONGEST: Duration = Duration::from_secs(5);

/// The due queue of one object kind for one call.
type DueQueue = (String, Stage);

/// What a process knows about the starts of the due queues. A record that is added before a known
/// start is found by the next scan from the beginning. It is late by seconds at most, and only
/// where such scans are slow.
#[derive(Debug, Default)]
pub(in crate::queue) struct DueCursors(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    heads: HashMap<DueQueue, DateTime<Utc>>,
    /// Until this instant, scans begin at the known starts.
    until: Option<Instant>,
    /// How often something may have been added before a known start.
    joined: u64,
}

impl DueCursors {
    /// Whether to scan from the known starts.
    pub(in crate::queue) fn known(&self) -> bool {
        self.lock().until.is_some_and(|until| Instant::now() < until)
    }

    /// Where the due queue of `kind` for `stage` started at the last scan.
    pub(in crate::queue) fn head(&self, kind: &str, stage: Stage) -> Option<DateTime<Utc>> {
        self.lock().heads.get(&(kind.to_owned(), stage)).copied()
    }

    /// Records that a scan found the due queue of `kind` for `stage` to start at `rank`.
    pub(in crate::queue) fn begins(&self, kind: &str, stage: Stage, rank: DateTime<Utc>) {
        self.lock().heads.insert((kind.to_owned(), stage), rank);
    }

    /// Marks the start of a scan from the very beginning. Pass the result on when the scan ends.
    pub(in crate::queue) fn looks(&self) -> u64 {
        self.lock().joined
    }

    /// Records how long a scan took. `joined` is the number that was read at its start.
    pub(in crate::queue) fn looked(&self, joined: u64, took: Duration) {
        let mut known = self.lock();
        // The scan may have missed records that were added meanwhile.
        if took >= QUICK && known.joined == joined {
            known.until = Some(Instant::now() + (took * SHARE).min(LONGEST));
        }
    }

    /// Records that something may have been added before a start, so the next scan begins at the
    /// beginning.
    pub(in crate::queue) fn joined(&self) {
        let mut known = self.lock();
        known.until = None;
        known.joined += 1;
    }

    /// Records that rows have arrived, each for a record of a kind and with a rank.
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
        let cursors = DueCursors::default();
        cursors.looked(cursors.looks(), Duration::from_millis(1));
        assert!(!cursors.known(), "a quick look is made each time");
        cursors.looked(cursors.looks(), SLOW);
        assert!(cursors.known());
        cursors.joined();
        assert!(!cursors.known());
        let look = cursors.looks();
        cursors.joined();
        cursors.looked(look, SLOW);
        assert!(!cursors.known(), "who joined during the look may have been missed");
    }

    #[test]
    fn a_row_before_the_head_of_its_kind_is_looked_for_at_once() {
        let at = |second| DateTime::from_timestamp(second, 0).expect("in range");
        let cursors = DueCursors::default();
        cursors.begins("contact", Stage::Create, at(100));
        cursors.looked(cursors.looks(), SLOW);
        cursors.came([("contact", at(100)), ("deal", at(1))].into_iter());
        assert!(cursors.known());
        cursors.came([("contact", at(99))].into_iter());
        assert!(!cursors.known());
    }
}
