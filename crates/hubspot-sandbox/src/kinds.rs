//! The object kinds and API versions that the simulator knows, with all their spellings.
//!
//! HubSpot accepts a kind as plural, singular or numeric type id. The simulator uses one enum.

/// A kind of CRM object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Contact,
    Company,
    Deal,
    Ticket,
    Note,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Contact, Self::Company, Self::Deal, Self::Ticket, Self::Note];

    /// Parses `contacts`, `contact` or `0-1`, in any case.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|k| word == k.plural() || word == k.singular() || word == k.type_id())
    }

    pub(crate) fn type_id(self) -> &'static str {
        match self {
            Self::Contact => "0-1",
            Self::Company => "0-2",
            Self::Deal => "0-3",
            Self::Ticket => "0-5",
            Self::Note => "0-46",
        }
    }

    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::Contact => "contacts",
            Self::Company => "companies",
            Self::Deal => "deals",
            Self::Ticket => "tickets",
            Self::Note => "notes",
        }
    }

    pub(crate) fn singular(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Company => "company",
            Self::Deal => "deal",
            Self::Ticket => "ticket",
            Self::Note => "note",
        }
    }

    /// Returns the group of built-in properties.
    pub(crate) fn default_group(self) -> String {
        format!("{}information", self.singular())
    }

    /// Returns the property with the time of creation.
    pub(crate) fn created_property(self) -> &'static str {
        if self == Self::Note { "hs_createdate" } else { "createdate" }
    }

    /// Returns the property with the time of the last change.
    pub(crate) fn modified_property(self) -> &'static str {
        if self == Self::Contact { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// Returns the properties of a read that asks for none.
    pub(crate) fn read_properties(self) -> &'static [&'static str] {
        match self {
            Self::Contact => &["email", "firstname", "lastname"],
            Self::Company => &["domain", "name"],
            Self::Deal => &["amount", "closedate", "dealname", "dealstage", "pipeline"],
            Self::Ticket => &[
                "content",
                "hs_pipeline",
                "hs_pipeline_stage",
                "hs_ticket_category",
                "hs_ticket_priority",
                "subject",
            ],
            Self::Note => &[],
        }
    }

    /// Returns the properties for pipeline and stage, if the kind has any.
    pub(crate) fn pipeline_properties(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Deal => Some(("pipeline", "dealstage")),
            Self::Ticket => Some(("hs_pipeline", "hs_pipeline_stage")),
            _ => None,
        }
    }

    /// Returns the scope that allows a token to `read` or `write` records. Notes use the scope of
    /// contacts.
    pub(crate) fn object_scope(self, act: &str) -> String {
        let of = if self == Self::Note { "contacts" } else { self.plural() };
        format!("crm.objects.{of}.{act}")
    }

    /// Returns the scope that allows a token to `read` or `write` property definitions.
    pub(crate) fn schema_scope(self, act: &str) -> String {
        let of = if self == Self::Note { "contacts" } else { self.plural() };
        format!("crm.schemas.{of}.{act}")
    }
}

/// A version of the API, as part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// `v3`, and `v4` for associations.
    Old,
    /// `2026-03`.
    March,
    /// `2026-09`, the current one.
    September,
}

impl Version {
    /// Parses the dated spelling.
    pub(crate) fn dated(word: &str) -> Option<Self> {
        match word {
            "2026-03" => Some(Self::March),
            "2026-09" => Some(Self::September),
            _ => None,
        }
    }

    /// Whether the rules of 2026-09 apply: dates are normalised, and required properties are
    /// enforced.
    pub(crate) fn is_current(self) -> bool {
        self == Self::September
    }
}
