//! Classifies a failure from its status, headers and body, to decide who is responsible for it.
//!
//! The status decides first, then the category, then the codes of single faults, and the message
//! last. A message repeats values that were sent. A known sentence therefore counts only at the
//! beginning of the message, so that no value can make a rejected row look like a failure of the
//! whole call. The facts about the bodies come from HubSpot's error guide and from recorded
//! replies.

mod failure;
mod hint;

use std::time::Duration;

use serde_json::Value;

use super::body::{Detail, ErrorBody};
pub use failure::{Blame, Class, Failure, Headers};

/// The longest wait: HubSpot's longest `Retry-After`, for an account that moves between data
/// centres.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// The longest message kept before redaction. A property value has up to 65,536 characters.
const LONGEST_MESSAGE: usize = 200_000;

/// Classifies a reply that is not a success. With the status 207, it classifies one item of its
/// `errors`.
#[must_use]
pub fn classify(status: u16, headers: &Headers, body: &Value) -> Failure {
    let body = ErrorBody::decode(body);
    let class = class_of(status, &body);
    // A fault of a value says nothing about a failure that is not about values.
    let about_values = class.blame() == Blame::Rejected || class == Class::BadRequestWholeBatch;
    let fault = body.first().filter(|_| about_values).cloned().unwrap_or_default();
    let code = code_of(status, class, &fault, &body);
    let conflict = class == Class::Conflict;
    let named = body.context.get("propertyName").and_then(|names| names.first());
    let property = fault
        .property
        .or_else(|| named.filter(|_| about_values).cloned())
        .or_else(|| body.taken.as_ref().filter(|_| conflict)?.property.clone());
    let message = fault.message.filter(|m| !m.is_empty()).unwrap_or_else(|| body.message.clone());
    Failure {
        class,
        hint: Some(hint::hint(status, class, &code, &body)),
        property,
        message: readable(&message, status),
        correlation_id: body.correlation_id.clone().or_else(|| headers.correlation_id.clone()),
        http_status: Some(status),
        wait: wait(class, headers, &body),
        existing_id: body.existing_id.clone().filter(|_| conflict),
        ids: named_inputs(&body),
        // 502, 503, 504 or 524 can mean that a gateway lost the answer, so the write may have been
        // applied.
        ambiguous: class == Class::Unavailable,
        code,
    }
}

fn class_of(status: u16, body: &ErrorBody) -> Class {
    // An item of a 207 can have its own status, as a number or text.
    let status = if status == 207 { body.status.unwrap_or(status) } else { status };
    // The token endpoint reports this with a status that means something else.
    if body.says("Migration in progress") {
        return Class::Migrating;
    }
    match status {
        408 | 421 | 425 | 500.. => Class::Unavailable,
        477 => Class::Migrating,
        423 => Class::Locked,
        429 => throttled(body),
        401 => Class::Unauthorized,
        403 => Class::Forbidden,
        // The API answers in JSON, so an HTML page means that the call did not reach it.
        404 if body.is_page => Class::BadRequestWholeBatch,
        404 => Class::NotFound,
        409 => Class::Conflict,
        // HubSpot also uses 414 for a record that was merged too often.
        414 if !body.says("Cannot have more than") => Class::BadRequestWholeBatch,
        300..=399 | 405 | 406 | 415 => Class::BadRequestWholeBatch,
        400 if body.oauth.is_some() => Class::OauthTerminal,
        _ => by_category(status, body),
    }
}

fn by_category(status: u16, body: &ErrorBody) -> Class {
    match body.category.as_deref() {
        Some("CONFLICT" | "OBJECT_ALREADY_EXISTS") => Class::Conflict,
        Some("OBJECT_NOT_FOUND") => Class::NotFound,
        Some("MISSING_SCOPES" | "BANNED") => Class::Forbidden,
        Some("INVALID_AUTHENTICATION" | "EXPIRED_AUTHENTICATION") => Class::Unauthorized,
        Some("RATE_LIMITS") => throttled(body),
        // HubSpot reports this with the category of a bad value.
        _ if body.taken.is_some() => Class::Conflict,
        None if body.exists_already() => Class::Conflict,
        None if body.says("Could not get some ") => Class::NotFound,
        _ if status == 400 && body.details.is_empty() && form_fault(body).is_some() => {
            Class::BadRequestWholeBatch
        }
        _ => Class::RowRejected,
    }
}

fn throttled(body: &ErrorBody) -> Class {
    let policy = body.policy.as_deref().unwrap_or_default();
    let daily = policy.eq_ignore_ascii_case("DAILY")
        || policy.is_empty() && body.message.to_ascii_lowercase().contains("daily");
    if daily { Class::ThrottledDaily } else { Class::ThrottledWindow }
}

/// Faults in the form of the request. They name no property, so they cannot be blamed on a row.
fn form_fault(body: &ErrorBody) -> Option<&'static str> {
    const FORMS: [(&str, &str); 6] = [
        ("Duplicate IDs found", "DUPLICATE_IDS"),
        ("The maximum number of inputs", "TOO_MANY_INPUTS"),
        ("Unable to perform update/upsert by non-unique", "NON_UNIQUE_ID_PROPERTY"),
        ("Invalid input JSON", "INVALID_JSON"),
        ("Invalid JSON input: a request body was expected", "MISSING_BODY"),
        ("Unable to infer object type", "UNKNOWN_OBJECT_TYPE"),
    ];
    FORMS.iter().find(|(sentence, _)| body.says(sentence)).map(|(_, code)| *code)
}

/// Returns HubSpot's code if it fits the class, or else hubferry's own word.
fn code_of(status: u16, class: Class, fault: &Detail, body: &ErrorBody) -> String {
    let http = || format!("HTTP_{status}");
    let ours = match class {
        // The category is not reliable in such a body: it has been seen to be `VALIDATION_ERROR`.
        Class::Unavailable if status != 207 => return http(),
        Class::Migrating => "MIGRATING",
        Class::Locked => "LOCKED",
        Class::ThrottledDaily => "DAILY_LIMIT",
        Class::ThrottledWindow => "RATE_LIMIT",
        Class::OauthTerminal => return body.oauth.clone().unwrap_or_else(http),
        Class::Conflict if body.taken.is_some() => "UNIQUE_VALUE_TAKEN",
        Class::RowRejected if body.says("Cannot have more than") => "TOO_MANY_IDENTITIES",
        Class::RowRejected if body.says("No properties found to update") => "NO_PROPERTIES",
        Class::RowRejected if status == 437 => "TOO_MANY_ASSOCIATION_LABELS",
        Class::RowRejected if status == 413 => "REQUEST_TOO_LARGE",
        Class::BadRequestWholeBatch if status == 414 => "URL_TOO_LONG",
        Class::BadRequestWholeBatch => form_fault(body).unwrap_or_default(),
        _ => "",
    };
    if !ours.is_empty() {
        return ours.to_owned();
    }
    let theirs = [fault.code.as_ref(), body.sub_category.as_ref(), body.category.as_ref()];
    let item = || if status == 207 { class.as_str().to_uppercase() } else { http() };
    theirs.into_iter().flatten().next().cloned().unwrap_or_else(item)
}

/// Makes a message readable for people and safe to store. Gateways answer with a page or with
/// nothing.
fn readable(message: &str, status: u16) -> String {
    let text = message.trim();
    if text.is_empty() || text.starts_with('<') {
        return format!("HubSpot answered {status} without saying why");
    }
    text.chars().take(LONGEST_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn wait(class: Class, headers: &Headers, body: &ErrorBody) -> Option<Duration> {
    let told = headers.retry_after;
    let seconds = Duration::from_secs;
    let wait = match class {
        Class::Migrating => told.unwrap_or(seconds(600)),
        // A lock lasts up to two seconds.
        Class::Locked => told.unwrap_or_default().max(seconds(2)),
        Class::ThrottledWindow => {
            let policy = body.policy.as_deref().unwrap_or_default();
            let short = policy == "SECONDLY"
                || policy.is_empty() && body.message.contains("your secondly limit");
            told.unwrap_or(seconds(if short { 1 } else { 10 }))
        }
        Class::Unavailable => told?,
        _ => return None,
    };
    Some(wait.min(LONGEST_WAIT))
}

fn named_inputs(body: &ErrorBody) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    for id in ["ids", "id"].iter().filter_map(|key| body.context.get(*key)).flatten() {
        if !ids.contains(id) {
            ids.push(id.clone());
        }
    }
    ids
}
