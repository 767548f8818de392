//! A failure, its class, and who is responsible for it.

use std::time::Duration;

use chrono::DateTime;

use super::hint;
use crate::hubspot::body::label;

/// The kinds of failed replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The fault is in this record's data, or the account lacks something. It is permanent until
    /// one of them changes.
    RowRejected,
    /// Another record has a value that must be unique.
    Conflict,
    /// The record, or the other end of an association, does not exist.
    NotFound,
    /// The whole request is malformed. Nothing was written.
    BadRequestWholeBatch,
    /// HubSpot does not accept the token.
    Unauthorized,
    /// The token lacks a scope, or the app is blocked.
    Forbidden,
    /// The OAuth grant is no longer valid.
    OauthTerminal,
    /// The daily limit is used up.
    ThrottledDaily,
    /// The rate limit of the rolling window, or of a shorter one, is reached.
    ThrottledWindow,
    /// The record was written too often in a very short time. The lock lasts two seconds.
    Locked,
    /// The account is moving between data centres.
    Migrating,
    /// HubSpot has a problem, or there was no reply.
    Unavailable,
}

/// Who is responsible for a failure. This alone decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// HubSpot: the failure is counted and retried later.
    Transient,
    /// hubferry was too fast: the gate closes for a while, and nothing is counted.
    Throttled,
    /// The row: it fails at once.
    Rejected,
    /// The settings: the gate closes until somebody corrects them, and nothing is counted.
    Misconfigured,
}

impl Class {
    /// Returns who is responsible for the failure.
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

/// A classified failure. Its message may still contain values that were sent; see
/// [`redact`](crate::hubspot::redact).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub class: Class,
    /// HubSpot's code if there is one, or else hubferry's own word.
    pub code: String,
    /// The property at fault.
    pub property: Option<String>,
    /// HubSpot's message.
    pub message: String,
    /// What a person can do about it.
    pub hint: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
    /// The HTTP status; `None` if there was no reply.
    pub http_status: Option<u16>,
    /// How long HubSpot asks to wait.
    pub wait: Option<Duration>,
    /// The record that has the conflicting value.
    pub existing_id: Option<String>,
    /// The ids of the inputs that the body names.
    pub ids: Vec<String>,
    /// Whether the write may have been applied although the call failed.
    pub ambiguous: bool,
}

impl Failure {
    /// Whether some inputs alone may have caused the refusal of the whole call.
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

    /// A failure without a reply: the connection was refused, lost or cut, or the call timed out.
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

/// The reply headers that matter for a failure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// `Retry-After`: seconds, or the difference between its date and the `Date` header.
    pub retry_after: Option<Duration>,
    /// `X-HubSpot-Correlation-Id`.
    pub correlation_id: Option<String>,
}

impl Headers {
    /// Reads the headers by name. Malformed ones count as absent.
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
