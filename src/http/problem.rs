//! Errors as RFC 9457 problem documents. Only this module assigns status codes to errors.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::event::{Faults, child};
use crate::operator::OperatorError;
use crate::operator::views::Wrong;
use crate::queue::QueueError;

/// An error answer.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    errors: Vec<Value>,
    more_errors: usize,
    retry_after: Option<u64>,
}

/// An error as it is sent, in the format of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemBody {
    /// A stable name for the kind of problem.
    #[serde(rename = "type")]
    #[schema(example = "urn:hubferry:problem:invalid_event")]
    kind: String,
    /// The status in words.
    title: Option<&'static str>,
    /// The HTTP status.
    status: u16,
    /// The last part of `type`.
    #[schema(example = "invalid_event")]
    code: &'static str,
    /// What is wrong and what to do.
    detail: String,
    /// The faults of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<FaultBody>>)]
    errors: Option<Vec<Value>>,
    /// The number of further faults that `errors` does not list.
    #[serde(skip_serializing_if = "Option::is_none")]
    more_errors: Option<usize>,
}

/// One fault of the request.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the schema of what is sent; the fault itself knows no HTTP")]
pub struct FaultBody {
    /// The position of the event in the request, if the fault is about an event.
    index: Option<usize>,
    /// A JSON pointer into the event or the body.
    #[schema(example = "/data/email")]
    pointer: String,
    /// A stable code.
    #[schema(example = "invalid_email")]
    code: String,
    /// What is wrong.
    detail: String,
}

/// The `Retry-After` of an answer without a database, in seconds.
const RETRY_AFTER: u64 = 5;

/// The Postgres code for a statement cancelled by its timeout
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
const ENDED: &str = "57014";

impl Problem {
    /// Makes an error with a stable code and a sentence that says what to do.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let (detail, errors) = (detail.into(), Vec::new());
        Self { status, code, detail, errors, more_errors: 0, retry_after: None }
    }

    /// Adds the listed faults of the request.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        let (listed, more) = faults.into_parts();
        if more > 0 {
            let listed = listed.len();
            self.detail
                .push_str(&format!("; the first {listed} are listed, there are {more} more"));
        }
        self.more_errors = more;
        self.with_errors(listed)
    }

    /// Adds the number of seconds after which the client may retry.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Adds all faults of the request.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<impl Serialize>) -> Self {
        let plain = |error| serde_json::to_value(error).unwrap_or(Value::Null);
        self.errors = errors.into_iter().map(plain).collect();
        self
    }

    /// The error for an invalid query string.
    #[must_use]
    pub fn query(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", detail)
    }

    /// The error for an invalid body.
    #[must_use]
    pub fn body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_body", detail)
    }

    /// The error for a timeout.
    #[must_use]
    pub fn timeout() -> Self {
        let detail = "the request took too long and was stopped: send it again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "timeout", detail)
    }

    /// The error for a bug in hubferry. The log has the details.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "this is a bug in hubferry: the log has the details under the request id",
        )
    }

    /// Returns the stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// What is wrong and what to do.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Converts the error to a response, for layers that need one.
    #[must_use]
    pub fn into_response_now(self) -> Response {
        self.into_response()
    }
}

impl From<QueueError> for Problem {
    fn from(error: QueueError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        match error {
            QueueError::Unavailable(sqlx::Error::Database(ended))
                if ended.code().as_deref() == Some(ENDED) =>
            {
                tracing::warn!(source, "a query took too long and was cancelled");
                Self::timeout()
            }
            QueueError::Unavailable(_) => {
                tracing::warn!(error = %error, source, "the database did not answer a request");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "database_unavailable",
                    "the database did not answer: send the request again with the same ids; events that were stored after all are recognised as duplicates",
                )
            }
            QueueError::Value(_) => {
                tracing::warn!(error = %error, source, "a request contains an impossible value");
                let detail = "a value contains U+0000, or a time is outside every calendar";
                Self::new(StatusCode::BAD_REQUEST, "impossible_value", detail)
            }
            _ => {
                tracing::error!(error = %error, source, "a request failed");
                Self::internal()
            }
        }
    }
}

impl From<OperatorError> for Problem {
    fn from(error: OperatorError) -> Self {
        use OperatorError as E;
        let detail = error.to_string();
        let (status, code) = match error {
            E::Queue(error) => return error.into(),
            E::InvalidSettings(wrong) => return invalid_settings(detail, wrong),
            E::Filter(_) => (StatusCode::BAD_REQUEST, "invalid_query"),
            E::Request(_) | E::NothingNamed => (StatusCode::BAD_REQUEST, "invalid_body"),
            E::UnknownRow => (StatusCode::NOT_FOUND, "unknown_row"),
            E::UnknownRecord | E::NotErased => (StatusCode::NOT_FOUND, "unknown_record"),
            E::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
            E::NotFailed => (StatusCode::CONFLICT, "not_failed"),
            E::SubjectErased => (StatusCode::CONFLICT, "subject_erased"),
            E::NothingToConfirm => (StatusCode::CONFLICT, "nothing_to_confirm"),
            E::NothingToResync => (StatusCode::CONFLICT, "nothing_to_resync"),
            E::ErasureOpen => (StatusCode::CONFLICT, "erasure_open"),
            E::TooManyEvents => (StatusCode::PAYLOAD_TOO_LARGE, "too_many_events"),
            E::TooManyFollowers => (StatusCode::SERVICE_UNAVAILABLE, "too_many_streams"),
        };
        Self::new(status, code, detail)
    }
}

/// The error for settings that were not stored. Each fault points into the body.
fn invalid_settings(detail: String, wrong: Vec<(String, Wrong)>) -> Problem {
    let fault = |(key, wrong): (String, Wrong)| {
        let setting = child("/settings", &key);
        let pointer = wrong.member.map_or(setting.clone(), |member| child(&setting, &member));
        json!({ "pointer": pointer, "code": wrong.code, "detail": wrong.detail })
    };
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_settings", detail)
        .with_errors(wrong.into_iter().map(fault).collect())
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: format!("urn:hubferry:problem:{}", self.code),
            title: self.status.canonical_reason(),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            errors: (!self.errors.is_empty()).then_some(self.errors),
            more_errors: (self.more_errors > 0).then_some(self.more_errors),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let away = self.status == StatusCode::SERVICE_UNAVAILABLE;
        if let Some(seconds) = self.retry_after.or(away.then_some(RETRY_AFTER)) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answers a method that a path does not support.
pub async fn no_such_method() -> Problem {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "method_not_allowed", "the path has no such method")
}
