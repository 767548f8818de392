//! Tracks whether the account has many contacts that hubferry does not know. If so, contacts are
//! looked up first, a hundred a call, instead of being refused one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// If at least one record in this many is refused, reading first costs less than being refused.
const SHARE: usize = 10;

/// Whether a worker's last batches of new records met many existing contacts.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Conflicts(Arc<AtomicBool>);

impl Conflicts {
    /// Records that HubSpot refused `refused` of `sent` new records because they existed already.
    pub(in crate::worker) fn refused(&self, refused: usize, sent: usize) {
        if sent >= SHARE && refused * SHARE >= sent {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Records that HubSpot had `found` of `looked_for` new records.
    pub(in crate::worker) fn found(&self, found: usize, looked_for: usize) {
        if looked_for >= SHARE && found * SHARE < looked_for {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    /// Whether new records are looked up before they are created.
    pub(in crate::worker) fn read_ahead(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
