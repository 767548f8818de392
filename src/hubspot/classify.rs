//! Whose fault a failure is: one pure function over status, headers and body.
//!
//! The status decides first, then the category, then the codes of single faults, the message
//! last. Facts about the bodies come from HubSpot's error guide and from recorded replies.

use std::time::Duration;

use serde_json::Value;

use super::body::{ErrorBody, owner_of_value};

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

/// A classified failure. Its message may still hold values that were sent; see [`super::redact`].
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
    /// A failure without a reply: refused connection, time-out, lost or cut connection.
    #[must_use]
    pub fn lost(code: &str, message: String, ambiguous: bool) -> Self {
        Self {
            class: Class::Unavailable,
            code: code.to_owned(),
            property: None,
            message,
            hint: None,
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
    /// `Retry-After`, in seconds.
    pub retry_after: Option<Duration>,
    /// `X-HubSpot-Correlation-Id`.
    pub correlation_id: Option<String>,
}

/// Classifies a reply that is not a success, or (with the status 207) one item of its `errors`.
#[must_use]
pub fn classify(status: u16, headers: &Headers, body: &Value) -> Failure {
    let body = ErrorBody::decode(body);
    let class = class_of(status, &body);
    let first = body.first().cloned().unwrap_or_default();
    let code = first
        .code
        .or_else(|| code_of(class, &body))
        .or_else(|| body.category.clone())
        .unwrap_or_else(|| {
            if status == 207 { class.as_str().to_uppercase() } else { format!("HTTP_{status}") }
        });
    let message =
        first.message.filter(|m| !m.is_empty()).unwrap_or_else(|| plain(&body.message, status));
    Failure {
        class,
        hint: hint(class, &code, &body),
        property: first.property,
        message,
        correlation_id: body.correlation_id.clone().or_else(|| headers.correlation_id.clone()),
        http_status: Some(status),
        wait: wait(class, status, headers, &body),
        existing_id: body.existing_id.clone().or_else(|| owner_of_value(&body.message)),
        ids: named_inputs(&body),
        ambiguous: class == Class::Unavailable && status != 503,
        code,
    }
}

fn class_of(status: u16, body: &ErrorBody) -> Class {
    let says = |text: &str| body.message.contains(text);
    let category = body.category.as_deref().unwrap_or("");
    match status {
        500..=599 => Class::Unavailable,
        _ if says("Migration in progress") => Class::Migrating,
        477 => Class::Migrating,
        423 => Class::Locked,
        429 if body.policy.as_deref() == Some("DAILY") || says("daily") => Class::ThrottledDaily,
        429 => Class::ThrottledWindow,
        401 => Class::Unauthorized,
        403 => Class::Forbidden,
        404 => Class::NotFound,
        409 => Class::Conflict,
        400 if body.oauth.is_some() => Class::OauthTerminal,
        _ if category == "CONFLICT" || says("already has that value") => Class::Conflict,
        _ if category == "OBJECT_NOT_FOUND" => Class::NotFound,
        400 if whole_batch(body) => Class::BadRequestWholeBatch,
        _ => Class::RowRejected,
    }
}

/// Faults of the request's form: they name no property, and no row can be blamed for them.
fn whole_batch(body: &ErrorBody) -> bool {
    const FORMS: [&str; 7] = [
        "Duplicate IDs found",
        "maximum number of inputs",
        "in a batch request for property histories",
        "non-unique",
        "Invalid input JSON",
        "Invalid JSON input",
        "Unable to infer object type",
    ];
    FORMS.iter().any(|form| body.message.contains(form))
}

fn code_of(class: Class, body: &ErrorBody) -> Option<String> {
    let says = |text: &str| body.message.contains(text);
    let word = match class {
        Class::Conflict if says("already has that value") => "UNIQUE_VALUE_TAKEN",
        Class::RowRejected if says("identities on a profile") => "TOO_MANY_IDENTITIES",
        Class::RowRejected if says("No properties found to update") => "NO_PROPERTIES",
        Class::BadRequestWholeBatch if says("Duplicate IDs") => "DUPLICATE_IDS",
        Class::BadRequestWholeBatch if says("maximum number") => "TOO_MANY_INPUTS",
        Class::BadRequestWholeBatch if says("non-unique") => "NON_UNIQUE_ID_PROPERTY",
        Class::BadRequestWholeBatch if says("infer object type") => "UNKNOWN_OBJECT_TYPE",
        Class::BadRequestWholeBatch => "INVALID_JSON",
        Class::Migrating => "MIGRATING",
        Class::Locked => "LOCKED",
        Class::ThrottledDaily => "DAILY_LIMIT",
        Class::ThrottledWindow => "RATE_LIMIT",
        Class::OauthTerminal => return body.oauth.clone(),
        _ => return body.sub_category.clone(),
    };
    Some(word.to_owned())
}

/// A message a person can read: gateways answer with HTML or nothing.
fn plain(message: &str, status: u16) -> String {
    let text = message.trim();
    if text.is_empty() || text.starts_with('<') {
        format!("HubSpot answered {status} without saying why")
    } else {
        text.to_owned()
    }
}

fn wait(class: Class, status: u16, headers: &Headers, body: &ErrorBody) -> Option<Duration> {
    let told = headers.retry_after;
    match class {
        Class::Migrating => {
            Some(told.unwrap_or(Duration::from_secs(600)).min(Duration::from_secs(86_400)))
        }
        Class::Locked => Some(told.unwrap_or_default().max(Duration::from_secs(2))),
        Class::ThrottledWindow => {
            let second = body.message.contains("secondly limit")
                && !body.message.contains("ten_secondly")
                || body.policy.as_deref() == Some("SECONDLY");
            Some(told.unwrap_or(Duration::from_secs(if second { 1 } else { 10 })))
        }
        Class::Unavailable if status == 503 => told,
        _ => None,
    }
}

fn named_inputs(body: &ErrorBody) -> Vec<String> {
    ["ids", "id"].iter().filter_map(|key| body.context.get(*key)).flatten().cloned().collect()
}

fn hint(class: Class, code: &str, body: &ErrorBody) -> Option<String> {
    let scopes: Vec<&str> = ["requiredGranularScopes", "requiredScopes"]
        .iter()
        .filter_map(|key| body.context.get(*key))
        .flatten()
        .map(String::as_str)
        .collect();
    let text = match (class, code) {
        (_, "PROPERTY_DOESNT_EXIST") => "create the property with `hubferry setup`, or correct its name in the mapping file".into(),
        (_, "INVALID_OPTION") => "add the option to the property in HubSpot, or map the value to one of its options".into(),
        (_, "INVALID_EMAIL") => "correct the address in the application; its next event mends the record".into(),
        (_, "READ_ONLY_VALUE") => "HubSpot computes this property: take it out of the mapping file".into(),
        (_, "MISSING_REQUIRED_PROPERTY" | "MISSING_CONDITIONAL_REQUIRED_PROPERTY") => {
            "an administrator of the HubSpot account made the property required: map it, or lift the rule".into()
        }
        (_, "TOO_MANY_IDENTITIES") => "the record was merged too often: delete it in HubSpot, it is created again".into(),
        (Class::Conflict, _) => "another HubSpot record holds this value: merge the two, or correct one of them".into(),
        (Class::NotFound, _) => "the record is gone in HubSpot, or the API version in the settings is mistyped".into(),
        (Class::Unauthorized, _) => "set HUBSPOT_API_KEY to a valid access token and restart".into(),
        (Class::Forbidden, _) if !scopes.is_empty() => format!("grant the token the scopes {}", scopes.join(", ")),
        (Class::Forbidden, _) => "grant the token the scopes that the documentation lists".into(),
        (Class::OauthTerminal, _) => "connect the HubSpot account again".into(),
        (Class::ThrottledDaily, _) => "sending goes on after midnight in the account's time zone".into(),
        (Class::BadRequestWholeBatch, _) => "the request's form is wrong: check the mapping and object files".into(),
        (Class::Unavailable, _) => "HubSpot's own trouble: nothing to do unless it lasts (status.hubspot.com)".into(),
        (Class::RowRejected, _) => "correct the value in the application or the mapping, then retry".into(),
        _ => return None,
    };
    Some(text)
}
