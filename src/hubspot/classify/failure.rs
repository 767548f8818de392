//! A failure, its class, and whose fault it is.

use std::time::Duration;

use chrono::DateTime;

use super::hint;
use crate::hubspot::body::label;

/// What a failed reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// This record's data, or something the account lacks; permanent until one of them changes.
    RowRejected,
    /// Another record holds a value that must be unique.
    Conflict,
    /// The record, or the other end of an association, is not there.
    NotFound,
    /// The request as a whole is malformed; nothing was written.
    BadRequestWholeBatch,
    /// The token is refused.
    Unauthorized,
    /// A scope is missing, or the app is barred.
    Forbidden,
    /// The OAuth grant is dead.
    OauthTerminal,
    /// The day's quota is spent.
    ThrottledDaily,
    /// The rolling window, or a shorter one, is full.
    ThrottledWindow,
    /// Written too often in a very short time; a lock lasts two seconds.
    Locked,
    /// The account moves between data centres.
    Migrating,
    /// HubSpot's own trouble, or no reply at all.
    Unavailable,
}

/// Whose fault it is; that alone decides what happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// HubSpot's: counted, and tried again after a while.
    Transient,
    /// We were too fast: the gate waits, nothing is counted.
    Throttled,
    /// The row's: failed at once.
    Rejected,
    /// The settings': the gate closes until somebody mends them, nothing is counted.
    Misconfigured,
}

impl Class {
    /// Whose fault it is.
    #[must_use]
    pub fn blame(self) -> Blame {
        match self {
            Self::RowRejected | Self::Conflict | Self::NotFound => Blame::Rejected,
            Self::BadRequestWholeBatch
            | Self::Unauthorized
            | Self::Forbidden
            | Self::OauthTerminal => Blame::Misconfigured,
            Self::ThrottledDaily | Self::ThrottledWindow | Self::Locked | Self::Migrating => {
                Blame::Throttled
            }
            Self::Unavailable => Blame::Transient,
        }
    }

    /// The word in logs and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RowRejected => "row_rejected",
            Self::Conflict => "conflict",
            Self::NotFound => "not_found",
            Self::BadRequestWholeBatch => "bad_request_whole_batch",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::OauthTerminal => "oauth_terminal",
            Self::ThrottledDaily => "throttled_daily",
            Self::ThrottledWindow => "throttled_window",
            Self::Locked => "locked",
            Self::Migrating => "migrating",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Blame {
    /// The word in logs and tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Throttled => "throttled",
            Self::Rejected => "rejected",
            Self::Misconfigured => "misconfigured",
        }
    }
}

/// A classified failure. Its message may still hold values that were sent; see [`redact`](crate::hubspot::redact).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What it is.
    pub class: Class,
    /// HubSpot's code where it gives one, else a word of ours.
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// What HubSpot says.
    pub message: String,
    /// What a person can do.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The status; `None` when there was no reply.
    pub http_status: Option<u16>,
    /// How long HubSpot asks to wait.
    pub wait: Option<Duration>,
    /// The record that holds the value in conflict.
    pub existing_id: Option<String>,
    /// The inputs that the body names, by id.
    pub ids: Vec<String>,
    /// The write may have been applied all the same.
    pub ambiguous: bool,
}

impl Failure {
    /// Whether a refusal of a whole call may be the fault of some of its inputs.
    #[must_use]
    pub fn blames_inputs(&self) -> bool {
        match self.class {
            Class::RowRejected | Class::Conflict | Class::NotFound => true,
            Class::BadRequestWholeBatch => {
                matches!(self.code.as_str(), "DUPLICATE_IDS" | "INVALID_JSON")
            }
            _ => false,
        }
    }

    /// A failure without a reply: refused connection, time-out, lost or cut connection.
    #[must_use]
    pub fn lost(code: &str, message: String, ambiguous: bool) -> Self {
        Self {
            class: Class::Unavailable,
            code: code.to_owned(),
            property: None,
            message,
            hint: Some(hint::without_reply(code).to_owned()),
            correlation_id: None,
            http_status: None,
            wait: None,
            existing_id: None,
            ids: Vec::new(),
            ambiguous,
        }
    }
}

/// What of a reply's headers matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Retry-After`: seconds, or the time from `Date` to the date it names.
    pub retry_after: Option<Duration>,
    /// `X-HubSpot-Correlation-Id`.
    pub correlation_id: Option<String>,
}

impl Headers {
    /// Reads the headers by name; what is malformed counts as absent.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Self {
        let retry_after = header("retry-after").map(str::trim).and_then(|told| {
            if let Ok(seconds) = told.parse() {
                return Some(Duration::from_secs(seconds));
            }
            let then = DateTime::parse_from_rfc2822(told).ok()?;
            let now = DateTime::parse_from_rfc2822(header("date")?).ok()?;
            then.signed_duration_since(now).to_std().ok()
        });
        let correlation_id = header("x-hubspot-correlation-id").and_then(label);
        Self { retry_after, correlation_id }
    }
}
