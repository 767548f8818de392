//! One request on its way into the queue: its events, and where its answer goes.

use std::sync::Arc;

use tokio::sync::{Notify, oneshot, watch};

use crate::queue::QueueError;
use crate::queue::intake::enqueue::{Admitted, EnqueueError, Receipt, RecordKey};

pub(super) type Answer = Result<Vec<Receipt>, EnqueueError>;

/// The events of one request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) events: Vec<Admitted>,
    pub(super) answer: oneshot::Sender<Answer>,
}

impl Request {
    /// The keys of the records that its events change.
    pub(super) fn keys(&self) -> impl Iterator<Item = RecordKey> {
        self.events.iter().flat_map(Admitted::keys)
    }
}

pub(super) fn away(error: sqlx::Error) -> EnqueueError {
    QueueError::Unavailable(error).into()
}

/// Who is notified when something was stored.
#[derive(Clone)]
pub(super) struct News {
    pub(super) wake: Arc<Notify>,
    pub(super) stored: watch::Sender<()>,
}

impl News {
    pub(super) fn tell(&self) {
        self.wake.notify_one();
        self.stored.send_replace(());
    }
}
