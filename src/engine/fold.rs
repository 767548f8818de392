//! The fold merges all changes of one record into one desired state. Pure.
//!
//! Every property and every slot is a last-writer-wins register: the greatest stamp wins. So the
//! result does not depend on the order of arrival, on duplicates or on earlier folds. A delete
//! voids everything that is not newer than the delete.

use std::collections::BTreeMap;

use crate::mapping::{Operation, Warning};
use crate::queue::model::{Accepted, Register, Stamp};

/// One queue row after mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedRow {
    /// The stamp of the row's values; it decides which value is newest.
    pub stamp: Stamp,
    /// What the row asks for.
    pub operation: Operation,
    /// Property -> value. An empty value clears the property.
    pub properties: BTreeMap<String, String>,
    /// The parts of composed properties.
    pub parts: BTreeMap<String, String>,
    /// Slot -> external id. `None` removes the association.
    pub slots: BTreeMap<String, Option<String>>,
    /// What the mapping left out or altered.
    pub warnings: Vec<Warning>,
}

/// The desired state of a record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// The newest delete.
    pub tombstone: Option<Stamp>,
    /// The properties, and the parts of composed properties.
    pub properties: Accepted,
    /// The slots that `rows` name, with their newest target.
    pub slots: BTreeMap<String, (Option<String>, Stamp)>,
    /// Whether anything that the rows ask for is newer than the tombstone.
    pub alive: bool,
}

/// Folds `rows` onto what HubSpot has accepted, and returns the desired state.
#[must_use]
pub fn fold(accepted: &Accepted, tombstone: Option<Stamp>, rows: &[MappedRow]) -> Folded {
    let deletes = rows.iter().filter(|row| row.operation != Operation::Upsert).map(|row| row.stamp);
    let tombstone = deletes.chain(tombstone).max();
    let lives = |stamp: Stamp| tombstone.is_none_or(|dead| stamp > dead);

    let mut folded = Folded { tombstone, ..Folded::default() };
    for (name, register) in accepted.iter().filter(|(_, r)| lives(r.stamp)) {
        folded.properties.insert(name.clone(), register.clone());
    }
    let living = rows.iter().filter(|row| row.operation == Operation::Upsert && lives(row.stamp));
    for row in living {
        folded.alive = true;
        for (name, value) in row.properties.iter().chain(&row.parts) {
            let held = folded.properties.get(name);
            if held.is_none_or(|held| held.stamp < row.stamp) {
                let register = Register { value: value.clone(), stamp: row.stamp };
                folded.properties.insert(name.clone(), register);
            }
        }
        for (slot, target) in &row.slots {
            if folded.slots.get(slot).is_none_or(|(_, held)| *held < row.stamp) {
                folded.slots.insert(slot.clone(), (target.clone(), row.stamp));
            }
        }
    }
    folded
}

/// The properties whose value HubSpot does not hold yet, or all of them if `whole` is set.
#[must_use]
pub fn difference(folded: &Folded, accepted: &Accepted, whole: bool) -> BTreeMap<String, String> {
    folded
        .properties
        .iter()
        .filter(|(name, register)| {
            whole || accepted.get(*name).is_none_or(|held| held.value != register.value)
        })
        .map(|(name, register)| (name.clone(), register.value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use proptest::prelude::*;

    use super::*;

    fn stamp(at: i64, row: i64) -> Stamp {
        Stamp { at: DateTime::from_timestamp(at, 0).expect("in range"), row }
    }

    fn arbitrary_row(id: i64) -> impl Strategy<Value = MappedRow> {
        let properties = prop::collection::btree_map("[abc]", "[xyz]?", 0..3);
        let slots = prop::collection::btree_map("[st]", prop::option::of("[pq]"), 0..2);
        (0i64..4, prop::bool::weighted(0.2), properties, slots).prop_map(
            move |(at, delete, properties, slots)| MappedRow {
                stamp: stamp(at, id),
                operation: if delete { Operation::Archive } else { Operation::Upsert },
                properties,
                parts: BTreeMap::new(),
                slots,
                warnings: Vec::new(),
            },
        )
    }

    fn rows() -> impl Strategy<Value = Vec<MappedRow>> {
        (0i64..8).prop_flat_map(|n| (0..n).map(arbitrary_row).collect::<Vec<_>>())
    }

    proptest! {
        #[test]
        fn the_fold_does_not_depend_on_the_order(rows in rows(), seed in any::<u64>()) {
            let mut shuffled = rows.clone();
            let n = shuffled.len();
            for i in (1..n).rev() {
                shuffled.swap(i, (seed.wrapping_mul(i as u64 + 7) >> 7) as usize % (i + 1));
            }
            prop_assert_eq!(
                fold(&Accepted::new(), None, &rows),
                fold(&Accepted::new(), None, &shuffled)
            );
        }

        #[test]
        fn folding_in_parts_and_twice_is_folding_at_once(rows in rows(), cut in 0usize..8) {
            let (first, second) = rows.split_at(cut.min(rows.len()));
            let start = fold(&Accepted::new(), None, second);
            let mut again = first.to_vec();
            again.extend_from_slice(second);
            let parts = fold(&start.properties, start.tombstone, &again);
            let whole = fold(&Accepted::new(), None, &rows);
            prop_assert_eq!(parts.properties, whole.properties);
            prop_assert_eq!(parts.tombstone, whole.tombstone);
        }
    }

    #[test]
    fn a_value_that_goes_back_is_sent_only_when_the_record_is_doubtful() {
        let row = |at, id, value: &str| MappedRow {
            stamp: stamp(at, id),
            operation: Operation::Upsert,
            properties: BTreeMap::from([("p".into(), value.into())]),
            parts: BTreeMap::new(),
            slots: BTreeMap::new(),
            warnings: Vec::new(),
        };
        let accepted = fold(&Accepted::new(), None, &[row(1, 1, "a")]).properties;
        let back = fold(&accepted, None, &[row(2, 2, "b"), row(3, 3, "a")]);
        assert!(difference(&back, &accepted, false).is_empty());
        assert_eq!(difference(&back, &accepted, true)["p"], "a");
    }
}
