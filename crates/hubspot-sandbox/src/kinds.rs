//! The object kinds and the API versions the simulator knows, with all their spellings.
//!
//! HubSpot takes a kind as plural, singular or numeric type id; inside there is one enum.

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

    /// Reads `contacts`, `contact` or `0-1`, in any case.
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

    /// The group that built-in properties are in.
    pub(crate) fn default_group(self) -> String {
        format!("{}information", self.singular())
    }

    /// The property that holds the time of creation.
    pub(crate) fn created_property(self) -> &'static str {
        if self == Self::Note { "hs_createdate" } else { "createdate" }
    }

    /// The property that holds the time of the last change.
    pub(crate) fn modified_property(self) -> &'static str {
        if self == Self::Contact { "lastmodifieddate" } else { "hs_lastmodifieddate" }
    }

    /// The properties a read returns when it asks for none.
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

    /// The pair of properties that hold pipeline and stage, where the kind has any.
    pub(crate) fn pipeline_properties(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Deal => Some(("pipeline", "dealstage")),
            Self::Ticket => Some(("hs_pipeline", "hs_pipeline_stage")),
            _ => None,
        }
    }

    /// The scope that lets a token `read` or `write` records; notes go with contacts.
    pub(crate) fn object_scope(self, act: &str) -> String {
        let of = if self == Self::Note { "contacts" } else { self.plural() };
        format!("crm.objects.{of}.{act}")
    }

    /// The scope that lets a token `read` or `write` property definitions.
    pub(crate) fn schema_scope(self, act: &str) -> String {
        let of = if self == Self::Note { "contacts" } else { self.plural() };
        format!("crm.schemas.{of}.{act}")
    }
}

/// A version of the API, which is part of the path.
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
    /// Reads the dated spelling.
    pub(crate) fn dated(word: &str) -> Option<Self> {
        match word {
            "2026-03" => Some(Self::March),
            "2026-09" => Some(Self::September),
            _ => None,
        }
    }

    /// Whether the rules of 2026-09 hold: dates are normalised, required properties enforced.
    pub(crate) fn is_current(self) -> bool {
        self == Self::September
    }
}
