//! Whether this account has many contacts that we do not know: then they are looked for first, a
//! hundred a call, instead of being refused one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// From one in so many on, reading costs less than being refused.
const SHARE: usize = 10;

/// What a worker's last batches of new records came to.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Conflicts(Arc<AtomicBool>);

impl Conflicts {
    /// Notes that `refused` of `sent` new records were there already.
    pub(in crate::worker) fn refused(&self, refused: usize, sent: usize) {
        if sent >= SHARE && refused * SHARE >= sent {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that `found` of `looked_for` new records were there.
    pub(in crate::worker) fn found(&self, found: usize, looked_for: usize) {
        if looked_for >= SHARE && found * SHARE < looked_for {
            self.0.store(false, Ordering::Relaxed);
        }
    }

    /// Whether new records are looked for before they are created.
    pub(in crate::worker) fn read_ahead(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
