//! The results of a delivery, as the worker hands them to the queue to be stored.

use chrono::{DateTime, Utc};

use crate::mapping::Warning;
use crate::queue::model::{Accepted, Lookup, Reason, Stamp};

/// Whether HubSpot holds what `accepted` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The call had a definite verdict, so it does.
    Certain,
    /// The call had no definite verdict, so this is in doubt.
    Doubtful,
    /// There was no call, so nothing changes.
    AsBefore,
}

/// How the settlement changes the record's backoff.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backoff {
    /// The call succeeded: the backoff ends.
    Reset,
    /// A counted failure: the record is not due before this instant.
    Until(DateTime<Utc>),
    /// The record is not due before this instant, and no failure is counted.
    Pause(DateTime<Utc>),
    /// Retry at once in a smaller batch: the call was refused and we do not know which record
    /// caused it. It counts as one more failure of the record, which sets the size of its batches,
    /// but not as an attempt of a row.
    Smaller,
    /// Nothing was tried, so nothing changes.
    AsBefore,
}

impl Backoff {
    /// The change of the failures in a row (0: reset, 1: one more), and the instant before which
    /// the record is not due. `None` keeps the stored value.
    pub(in crate::queue) fn noted(self) -> (Option<i32>, Option<DateTime<Utc>>) {
        match self {
            Self::Reset => (Some(0), None),
            Self::Until(until) => (Some(1), Some(until)),
            Self::Pause(until) => (None, Some(until)),
            Self::Smaller => (Some(1), None),
            Self::AsBefore => (None, None),
        }
    }
}

/// Why and how long a record that cannot be created yet waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The record is due at this deadline, or when another row arrives.
    pub until: DateTime<Utc>,
    /// What is missing.
    pub reason: String,
    /// How many open rows were considered.
    pub loaded: i64,
}

/// The result of a row. Rows without a verdict do not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RowVerdict {
    /// HubSpot holds the row's values or newer ones.
    Written(Vec<Warning>),
    /// The failure is counted, and the row is retried.
    Retry(Reason),
    /// The row needs a person.
    Failed(Reason),
}

/// The newest target of an association slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotWrite {
    /// The slot.
    pub slot: String,
    /// Sync type and external id of the other end. `None` removes the association.
    pub target: Option<(String, String)>,
    /// The stamp of the target; it decides which target is newest.
    pub stamp: Stamp,
}

/// What the written rows of one subject supplied, if several subjects share a HubSpot record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPart {
    /// The subject's record: the leased one or an alias of it.
    pub record: i64,
    /// Its newest values.
    pub values: Accepted,
    /// Its newest targets.
    pub slots: Vec<SlotWrite>,
}

/// How the link of a record changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// It does not change.
    Keep,
    /// HubSpot does not have the record any more, or not under this id.
    Drop,
    /// HubSpot has created the record under this id.
    Set(String),
    /// The link leads to a HubSpot record that hubferry did not create. It is stored only if no
    /// other record has the same link.
    Adopt(String),
    /// HubSpot shows the record under this id, other than before. If another record is linked to
    /// it, people merged the two, and this record becomes an alias.
    Moved(String),
}

impl Link {
    /// The new id, if there is one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Keep | Self::Drop => None,
            Self::Set(id) | Self::Adopt(id) | Self::Moved(id) => Some(id),
        }
    }
}

/// How the adoption of a record changes: whether HubSpot had it before hubferry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It does not change.
    Keep,
    /// A value of this row led to a HubSpot record that existed before.
    Begin(i64),
    /// The record was deleted in HubSpot, or a new record replaced it.
    End,
}

/// How the look-up of a record changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookupChange {
    /// It does not change, unless the link does: a new link ends every look-up.
    Keep,
    /// Nothing is looked up.
    Clear,
    /// This is looked up, or was found out.
    Set(Lookup),
}

/// Whether a record ends with a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It goes on.
    Lives,
    /// It was deleted: slots that are not newer than the tombstone are void, and rows that are
    /// newer are reopened.
    Deleted,
    /// It was deleted, and an alias takes over its HubSpot record. If no alias is left, nothing
    /// happens, and the record is planned again.
    PassedOn,
    /// It was deleted, and all of its stored data is erased too.
    Erased,
}

/// The result of delivering one leased record.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The record.
    pub record: i64,
    /// The doubt that was read with the lease. A newer doubt is not cleared.
    pub doubt: i64,
    /// How its link changes.
    pub link: Link,
    /// The HubSpot records that people merged into this one. Records linked to them become its
    /// aliases.
    pub absorbs: Vec<String>,
    /// Whether HubSpot had the record before hubferry.
    pub adoption: Adoption,
    /// How it is looked up before its next write.
    pub lookup: LookupChange,
    /// Whether it was deleted or erased.
    pub end: End,
    /// What each subject's rows supplied, if several subjects share the HubSpot record.
    pub own: Vec<OwnPart>,
    /// The values that HubSpot has accepted by now.
    pub accepted: Option<Accepted>,
    /// The newest delete, if it changed.
    pub tombstone: Option<Stamp>,
    /// Whether HubSpot holds what `accepted` says.
    pub certainty: Certainty,
    /// How the record's backoff changes.
    pub backoff: Backoff,
    /// Set if the record waits for a row that supplies what is missing.
    pub wait: Option<Wait>,
    /// The slots whose target is newer than the stored one.
    pub slots: Vec<SlotWrite>,
    /// The verdicts of the rows.
    pub rows: Vec<(i64, RowVerdict)>,
}

impl Settlement {
    /// Whether the record was deleted.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.end != End::Lives
    }

    /// Whether people merged it with other records.
    #[must_use]
    pub fn is_merged(&self) -> bool {
        matches!(self.link, Link::Moved(_)) || !self.absorbs.is_empty()
    }

    /// A settlement that releases the record unchanged.
    #[must_use]
    pub fn release(record: i64, doubt: i64) -> Self {
        Self {
            record,
            doubt,
            link: Link::Keep,
            absorbs: Vec::new(),
            adoption: Adoption::Keep,
            lookup: LookupChange::Keep,
            end: End::Lives,
            own: Vec::new(),
            accepted: None,
            tombstone: None,
            certainty: Certainty::AsBefore,
            backoff: Backoff::AsBefore,
            wait: None,
            slots: Vec::new(),
            rows: Vec::new(),
        }
    }
}
