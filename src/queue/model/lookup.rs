//! What must be looked up in HubSpot about a record before its next write, or what was found.

use crate::queue::QueueError;

/// A look-up that is owed, or the result of the last one. The columns `lookup` and `lookup_id` of
/// the table store it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// Read the HubSpot record with this id, which holds a unique value of this record.
    Id(String),
    /// Read the HubSpot record with the record's e-mail address. It holds the address, and HubSpot
    /// named no id.
    Email,
    /// The same before the record is created, because the account has many such conflicts.
    EmailFirst,
    /// Read the HubSpot record with the record's key, because the record cannot be created yet, or
    /// because a lost call may have created it. The id that it conflicts with follows, if HubSpot
    /// named one.
    Key(Option<String>),
    /// HubSpot has no record with the id or address.
    NotFound,
    /// HubSpot has no record with the key.
    KeyNotFound,
    /// The link was read before the record's delete. It is still its own, so it may be archived.
    OwnLink,
    /// HubSpot has the key again after the record's delete was done, so it is deleted again.
    DeleteAgain,
}

impl Lookup {
    /// The look-up of a record that conflicts with a HubSpot record, whose id HubSpot may name.
    #[must_use]
    pub fn of_conflict(id: Option<String>) -> Self {
        id.map_or(Self::Email, Self::Id)
    }

    /// The word in the table.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Id(_) => "id",
            Self::Email => "email",
            Self::EmailFirst => "email_first",
            Self::Key(_) => "key",
            Self::NotFound => "not_found",
            Self::KeyNotFound => "key_not_found",
            Self::OwnLink => "own_link",
            Self::DeleteAgain => "delete_again",
        }
    }

    /// The HubSpot record that it is about, if an id is known.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Id(id) => Some(id),
            Self::Key(id) => id.as_deref(),
            _ => None,
        }
    }

    /// Reads the two columns of the table.
    pub(in crate::queue) fn read(
        word: Option<&str>,
        id: Option<String>,
    ) -> Result<Option<Self>, QueueError> {
        Ok(Some(match (word, id) {
            (None, _) => return Ok(None),
            (Some("id"), Some(id)) => Self::Id(id),
            (Some("email"), _) => Self::Email,
            (Some("email_first"), _) => Self::EmailFirst,
            (Some("key"), id) => Self::Key(id),
            (Some("not_found"), _) => Self::NotFound,
            (Some("key_not_found"), _) => Self::KeyNotFound,
            (Some("own_link"), _) => Self::OwnLink,
            (Some("delete_again"), _) => Self::DeleteAgain,
            (Some(word), _) => return Err(QueueError::Corrupt(format!("look-up `{word}`"))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn look_ups_come_back_from_their_columns() {
        let all = [
            Lookup::Id("7".into()),
            Lookup::Email,
            Lookup::EmailFirst,
            Lookup::Key(None),
            Lookup::Key(Some("7".into())),
            Lookup::NotFound,
            Lookup::KeyNotFound,
            Lookup::OwnLink,
            Lookup::DeleteAgain,
        ];
        for lookup in all {
            let read = Lookup::read(Some(lookup.word()), lookup.id().map(str::to_owned));
            assert_eq!(read.unwrap(), Some(lookup));
        }
        assert!(Lookup::read(Some("id"), None).is_err(), "an id is missing");
    }
}
