//! Decides what happens to records that were deleted or erased.

use std::collections::HashSet;

use crate::engine::fold::MappedRow;
use crate::engine::plan::{self, Planned};
use crate::mapping::Operation;
use crate::queue::delivery::settlement::{
    Adoption, Backoff, Certainty, End, Link, RowVerdict, Settlement,
};
use crate::queue::model::{Accepted, Row};

/// Whether every owed delete is older than a delete that was done. Then the record in HubSpot is
/// newer than the owed deletes.
pub(crate) fn stale(planned: &Planned) -> bool {
    let mut deletes =
        planned.rows.iter().filter(|row| row.operation != Operation::Upsert).peekable();
    deletes.peek().is_some()
        && planned.record.tombstone.is_some_and(|done| deletes.all(|row| row.stamp <= done))
}

/// Settles stale deletes without a call.
pub(crate) fn past(planned: &Planned) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let deletes = planned.rows.iter().filter(|row| row.operation != Operation::Upsert);
    settlement.rows = deletes.map(|row| (row.stamp.row, RowVerdict::Written(Vec::new()))).collect();
    settlement
}

/// Settles a deleted record. Rows older than the delete are done, and newer values create the
/// record again. After an erasure nothing is left to create it from.
pub(crate) fn deleted(planned: &Planned, erased: bool) -> Settlement {
    let mut settlement = Settlement::release(planned.record.id, planned.record.doubt);
    let dead = planned.folded.tombstone.max(planned.record.tombstone);
    // The values that aliases supplied do not belong to the deleted subject.
    let alias: HashSet<i64> =
        planned.record.rows.iter().filter(|r| r.of_alias.is_some()).map(|r| r.id).collect();
    if planned.record.hubspot_id.is_some() {
        settlement.link = Link::Drop;
    }
    settlement.certainty = Certainty::Certain;
    // Values newer than the delete are taken from their rows again.
    settlement.accepted = Some(Accepted::new());
    settlement.tombstone = dead;
    settlement.backoff = Backoff::Reset;
    settlement.end = if erased { End::Erased } else { End::Deleted };
    settlement.rows = if erased {
        let own = planned.record.rows.iter().filter(|row| !alias.contains(&row.id));
        own.map(|row| (row.id, void(planned, row))).collect()
    } else {
        let dead_row = |row: &MappedRow| {
            !alias.contains(&row.stamp.row)
                && (row.operation != Operation::Upsert || dead.is_some_and(|d| row.stamp <= d))
        };
        let rows = planned.rows.iter().filter(|row| dead_row(row));
        rows.map(|row| (row.stamp.row, RowVerdict::Written(Vec::new()))).collect()
    };
    settlement
}

/// The same, if HubSpot itself deleted the record or never had it: the adoption ends too.
pub(crate) fn gone(planned: &Planned, erased: bool) -> Settlement {
    Settlement { adoption: Adoption::End, ..deleted(planned, erased) }
}

/// The verdict on a row of an erased record. An erasure voids all rows that arrived before it, and
/// a delete that arrived after it. Values that arrived after it are not void.
fn void(planned: &Planned, row: &Row) -> RowVerdict {
    let erasures = planned.record.rows.iter().filter(|r| r.operation == Operation::Erase);
    let before = erasures.map(|r| r.id).max().is_some_and(|erasure| row.id <= erasure);
    if before || row.operation != Operation::Upsert {
        return RowVerdict::Written(Vec::new());
    }
    RowVerdict::Failed(plan::erased("the subject was erased before this event arrived"))
}

/// Settles a deleted record whose HubSpot record an alias takes over.
pub(crate) fn passed_on(planned: &Planned) -> Settlement {
    Settlement { end: End::PassedOn, ..deleted(planned, false) }
}
