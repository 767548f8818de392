//! Why a verb was not done or a read was not answered.

use super::bounds::PREVIEW_EVENTS;
use crate::queue::QueueError;
use crate::settings::Wrong;

/// An error of a verb or a read. `http/problem.rs` gives each its code and status; every text is
/// shown to people as it is.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// A filter, or the place in a list, is invalid. The text names it.
    #[error("{0}")]
    Filter(String),
    /// A value of the request is invalid. The text names it.
    #[error("{0}")]
    Request(String),
    /// A discard that names no rows. `all` must be said.
    #[error(
        "nothing says which failed rows to discard: name an object kind, an error code or row \
         numbers, or ask for all of them"
    )]
    NothingNamed,
    /// There is no such row.
    #[error("there is no row with this number")]
    UnknownRow,
    /// The row is not failed.
    #[error(
        "the row is not failed: only failed rows can be retried or discarded, and only discarded \
         rows can be restored"
    )]
    NotFailed,
    /// The subject of the row was erased.
    #[error("the subject of the row was erased, so there is nothing to send; discard the row")]
    SubjectErased,
    /// The row does not wait for a confirmation.
    #[error("only an erasure that failed with ADOPTED_RECORD can be confirmed")]
    NothingToConfirm,
    /// There is no such record.
    #[error("there is no record of this kind and external id")]
    UnknownRecord,
    /// Nothing of the record can be sent.
    #[error(
        "nothing of this record can be sent: it was never written, or was deleted, erased or \
         merged into another"
    )]
    NothingToResync,
    /// There is no erased subject of this kind and id.
    #[error("no erased subject has this kind and external id")]
    NotErased,
    /// The erasure has not ended.
    #[error(
        "the erasure has not ended yet: wait until its row is synced, or discard the row if it \
         failed"
    )]
    ErasureOpen,
    /// There is no such key, or it was revoked before.
    #[error("there is no key with this number that can still be revoked")]
    UnknownKey,
    /// Some settings are invalid. Each comes with its key; nothing was stored.
    #[error("nothing was stored: some of the settings are invalid")]
    InvalidSettings(Vec<(String, Wrong)>),
    /// Too many events for one preview.
    #[error("one preview takes at most {PREVIEW_EVENTS} events: send a part of them")]
    TooManyEvents,
    /// Too many follow the log.
    #[error("too many people follow the log of this process already; try again later")]
    TooManyFollowers,
    /// The database failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}
