//! Reads the body of a reply, and explains why there is none.

use reqwest::StatusCode;
use serde_json::Value;

use crate::hubspot::classify::Failure;

/// Decodes JSON as JSON, any other text as a string, and an empty body as null. A 2xx counts as no
/// answer if its body is cut, is not an object, or is missing where the status promises one.
pub(super) fn decode(status: StatusCode, bytes: &[u8]) -> Result<Value, Failure> {
    let broken = |message: &str| Failure::lost("BROKEN_REPLY", message.to_owned(), true);
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return if matches!(status.as_u16(), 201 | 207) {
            Err(broken("the reply lacks its body"))
        } else {
            Ok(Value::Null)
        };
    }
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) if value.is_object() || !status.is_success() => Ok(value),
        _ if status.is_success() => Err(broken("the reply was cut off or is not JSON")),
        _ => Ok(Value::String(String::from_utf8_lossy(bytes).chars().take(2_000).collect())),
    }
}

pub(super) fn speaks_for_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 423 | 429 | 477) || status.is_server_error()
}

/// A call without a reply. It has certainly written nothing only if the connection was never made.
pub(super) fn lost(error: &reqwest::Error) -> Failure {
    if error.is_connect() {
        Failure::lost("CONNECTION_REFUSED", "no connection to HubSpot could be made".into(), false)
    } else if error.is_timeout() {
        Failure::lost("TIMEOUT", "HubSpot did not answer within the time-out".into(), true)
    } else {
        Failure::lost(
            "CONNECTION_LOST",
            "the connection to HubSpot broke before its reply".into(),
            true,
        )
    }
}
