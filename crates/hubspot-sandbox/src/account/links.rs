//! The associations between records, always in both directions, and the table of their types.
//!
//! A type has one number for each direction. A link is stored together with its reverse, so the two
//! never disagree. A record has at most one primary company.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Kind::{self, Company, Contact, Deal, Note, Ticket};

/// One end of an association.
pub(crate) type End = (Kind, u64);

/// A pair of kinds and one of its types: from, to, number, number in the other direction.
type TypeRow = (Kind, Kind, u32, u32);

/// The plain type of each pair of kinds comes first.
const TYPES: &[TypeRow] = &[
    (Contact, Company, 279, 280),
    (Contact, Company, 1, 2),
    (Deal, Contact, 3, 4),
    (Deal, Company, 341, 342),
    (Deal, Company, 5, 6),
    (Ticket, Contact, 16, 15),
    (Ticket, Company, 339, 340),
    (Ticket, Company, 26, 25),
    (Deal, Ticket, 27, 28),
    (Note, Contact, 202, 201),
    (Note, Company, 190, 189),
    (Note, Deal, 214, 213),
    (Note, Ticket, 228, 227),
    (Contact, Contact, 449, 449),
    (Company, Company, 450, 450),
    (Company, Company, 13, 14),
    (Deal, Deal, 451, 451),
    (Ticket, Ticket, 452, 452),
];

/// The types that mark a record's one primary company, seen from the record.
const PRIMARY: [u32; 3] = [1, 5, 26];
/// The same, seen from the company.
const PRIMARY_REVERSE: [u32; 3] = [2, 6, 25];

/// All associations of the account.
#[derive(Debug, Default)]
pub(crate) struct Links {
    pairs: BTreeMap<End, BTreeMap<End, BTreeSet<u32>>>,
}

/// The types allowed from one kind to another, each with its reverse. The plain one comes first.
pub(crate) fn types(from: Kind, to: Kind) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for (a, b, there, back) in TYPES {
        if (*a, *b) == (from, to) {
            found.push((*there, *back));
        }
        if (*b, *a) == (from, to) && there != back {
            found.push((*back, *there));
        }
    }
    found
}

/// The label of the type in reads, if it has one.
pub(crate) fn label(type_id: u32) -> Option<&'static str> {
    match type_id {
        13 => Some("Parent Company"),
        14 => Some("Child Company"),
        id if PRIMARY.contains(&id) || PRIMARY_REVERSE.contains(&id) => Some("Primary"),
        _ => None,
    }
}

impl Links {
    /// Associates two records with the plain type and the given ones, which must belong to the pair
    /// of kinds. The first company of a contact or a deal becomes its primary one.
    pub(crate) fn join(&mut self, from: End, to: End, type_ids: &[u32]) {
        let known = types(from.0, to.0);
        let plain = known.first().map(|(there, _)| *there);
        for (there, back) in known {
            if plain == Some(there) || type_ids.contains(&there) {
                self.add(from, to, there, back);
            }
        }
        self.elect_primary(from, to);
        self.elect_primary(to, from);
    }

    /// Removes some types of a pair, or all of them.
    pub(crate) fn part(&mut self, from: End, to: End, type_ids: Option<&[u32]>) {
        for (there, back) in types(from.0, to.0) {
            if type_ids.is_none_or(|ids| ids.contains(&there)) {
                self.take(from, to, there);
                self.take(to, from, back);
            }
        }
    }

    /// Returns the records of one kind that are associated with this one.
    pub(crate) fn of(&self, from: End, to: Kind) -> impl Iterator<Item = (u64, &BTreeSet<u32>)> {
        let far = self.pairs.get(&from).into_iter().flatten();
        far.filter(move |(end, _)| end.0 == to).map(|(end, types)| (end.1, types))
    }

    /// Removes a record from all its associations.
    pub(crate) fn forget(&mut self, end: End) {
        for other in self.pairs.remove(&end).unwrap_or_default().into_keys() {
            if let Some(far) = self.pairs.get_mut(&other) {
                far.remove(&end);
            }
        }
    }

    /// Moves the associations of a record to another one.
    pub(crate) fn hand_over(&mut self, old: End, new: End) {
        let far = self.pairs.get(&old).cloned().unwrap_or_default();
        self.forget(old);
        for (other, type_ids) in far {
            if other == new {
                continue;
            }
            let has_primary = self.has_primary(new);
            let kept: Vec<u32> =
                type_ids.into_iter().filter(|id| !(has_primary && PRIMARY.contains(id))).collect();
            self.join(new, other, &kept);
        }
    }

    /// Every association in every direction.
    pub(crate) fn all(&self) -> impl Iterator<Item = (End, End, u32)> {
        self.pairs.iter().flat_map(|(from, far)| {
            far.iter().flat_map(move |(to, ids)| ids.iter().map(move |id| (*from, *to, *id)))
        })
    }

    fn add(&mut self, from: End, to: End, there: u32, back: u32) {
        if PRIMARY.contains(&there) {
            self.depose(from);
        }
        if PRIMARY_REVERSE.contains(&there) {
            self.depose(to);
        }
        self.pairs.entry(from).or_default().entry(to).or_default().insert(there);
        self.pairs.entry(to).or_default().entry(from).or_default().insert(back);
    }

    fn take(&mut self, from: End, to: End, type_id: u32) {
        let Some(far) = self.pairs.get_mut(&from) else { return };
        let Some(ids) = far.get_mut(&to) else { return };
        ids.remove(&type_id);
        if ids.is_empty() {
            far.remove(&to);
        }
    }

    fn has_primary(&self, from: End) -> bool {
        self.of(from, Company).any(|(_, ids)| ids.iter().any(|id| PRIMARY.contains(id)))
    }

    /// Removes the primary mark from the primary company of a record.
    fn depose(&mut self, from: End) {
        let companies: Vec<u64> = self.of(from, Company).map(|(id, _)| id).collect();
        for company in companies {
            self.part(from, (Company, company), Some(&PRIMARY));
        }
    }

    fn elect_primary(&mut self, from: End, to: End) {
        if !matches!(from.0, Contact | Deal) || to.0 != Company || self.has_primary(from) {
            return;
        }
        if let Some((there, back)) = types(from.0, Company).get(1).copied() {
            self.add(from, to, there, back);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(links: &Links, from: End, to: End) -> Vec<u32> {
        links.all().filter(|(a, b, _)| (*a, *b) == (from, to)).map(|(_, _, id)| id).collect()
    }

    #[test]
    fn a_second_primary_company_replaces_the_first() {
        let mut links = Links::default();
        links.join((Contact, 1), (Company, 10), &[]);
        links.join((Contact, 1), (Company, 11), &[279]);
        assert_eq!(between(&links, (Contact, 1), (Company, 10)), [1, 279]);
        assert_eq!(between(&links, (Contact, 1), (Company, 11)), [279]);
        links.join((Company, 11), (Contact, 1), &[2]);
        assert_eq!(between(&links, (Contact, 1), (Company, 10)), [279]);
        assert_eq!(between(&links, (Company, 11), (Contact, 1)), [2, 280]);
    }

    #[test]
    fn each_type_is_found_from_both_sides() {
        assert_eq!(types(Contact, Deal), [(4, 3)]);
        assert_eq!(types(Company, Company), [(450, 450), (13, 14), (14, 13)]);
        assert!(types(Note, Note).is_empty());
    }
}
