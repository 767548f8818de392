//! The kinds of gates: the one list that code and tables go by. A test compares it with the
//! constraint `gate_kind`.

/// The kind of reason that closes a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// A person paused sending.
    Paused,
    /// The token belongs to an account other than the linked one.
    Account,
    /// HubSpot says that the rolling window's rate limit is exceeded.
    Window,
    /// The daily quota is spent.
    Daily,
    /// The last of the daily quota is reserved for rows of high priority. Other rows wait.
    Reserve,
    /// HubSpot has locked something that was written too often.
    Locked,
    /// HubSpot is moving the account between data centres.
    Migrating,
    /// HubSpot refuses the token.
    Credentials,
    /// The token lacks a scope.
    Scope,
    /// HubSpot lacks a property that the mapping names.
    Schema,
    /// HubSpot fails or does not answer.
    Breaker,
}

/// What opens a gate again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opens {
    /// A person.
    ByPerson,
    /// Its time is over.
    InTime,
    /// The check of the account finds the linked one.
    ByCheck,
    /// After its time, one record is tried as a probe. The gate opens if the call succeeds.
    ByCall,
    /// The same, after several such calls in a row.
    ByCalls,
}

impl GateKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Paused,
        Self::Account,
        Self::Window,
        Self::Daily,
        Self::Reserve,
        Self::Locked,
        Self::Migrating,
        Self::Credentials,
        Self::Scope,
        Self::Schema,
        Self::Breaker,
    ];

    /// The name in the table and in API responses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Account => "account",
            Self::Window => "window",
            Self::Daily => "daily",
            Self::Reserve => "reserve",
            Self::Locked => "locked",
            Self::Migrating => "migrating",
            Self::Credentials => "credentials",
            Self::Scope => "scope",
            Self::Schema => "schema",
            Self::Breaker => "breaker",
        }
    }

    /// What opens the gate again.
    #[must_use]
    pub const fn opens(self) -> Opens {
        match self {
            Self::Paused => Opens::ByPerson,
            Self::Account => Opens::ByCheck,
            Self::Window | Self::Daily | Self::Reserve | Self::Locked | Self::Migrating => {
                Opens::InTime
            }
            Self::Credentials | Self::Scope | Self::Schema => Opens::ByCall,
            Self::Breaker => Opens::ByCalls,
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The names of the kinds that open in one of these ways.
    pub(in crate::queue) fn names(ways: &[Opens]) -> Vec<&'static str> {
        let kinds = Self::ALL.into_iter().filter(|kind| ways.contains(&kind.opens()));
        kinds.map(Self::as_str).collect()
    }
}

/// The gates that let a record through after their time is over, or wait for a check.
pub(in crate::queue) const PROBED: [Opens; 3] = [Opens::ByCheck, Opens::ByCall, Opens::ByCalls];
