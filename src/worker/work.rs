//! What a step hands to a delivery, and what it gets back.

use std::time::Instant;

use crate::mapping::ObjectKind;
use crate::portals::Permit;
use crate::queue::QueueError;
use crate::queue::model::Batch;
use crate::queue::watchdog::Silent;

/// The result of delivering a batch.
pub(in crate::worker) struct Delivered {
    /// The permit, if no call was made on it.
    pub(in crate::worker) permit: Option<Permit>,
    /// Calls made.
    pub(in crate::worker) calls: usize,
    /// Whether a failure closed the gate.
    pub(in crate::worker) closed: bool,
    /// Whether HubSpot failed a call or did not answer.
    pub(in crate::worker) transient: bool,
}

impl Delivered {
    /// No call was made.
    pub(in crate::worker) fn without_call(permit: Permit) -> Self {
        Self { permit: Some(permit), calls: 0, closed: false, transient: false }
    }
}

/// A leased batch, and what is needed to deliver it.
pub(in crate::worker) struct Work<'a> {
    pub(in crate::worker) batch: Batch,
    /// When it was leased, on this process's clock.
    pub(in crate::worker) leased_at: Instant,
    pub(in crate::worker) object: &'a ObjectKind,
    pub(in crate::worker) permit: Permit,
    /// Whether the batch is one record that tests whether a gate may open. Its failure is not
    /// counted.
    pub(in crate::worker) probing: bool,
}

/// Why a step failed. Nothing is lost: the step's leases expire and are reclaimed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The queue failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The database neither answered nor reported an error.
    #[error(transparent)]
    Silent(#[from] Silent),
    /// A due record has a kind that the object file no longer names.
    #[error("the object file has no kind `{0}`, but records of it are due")]
    UnknownKind(String),
}
