//! Why a page cannot be shown or an action not be performed.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::http::dashboard::layout::words::sentence;
use crate::http::problem::Problem;
use crate::operator::OperatorError;

/// Why a page cannot be shown or an action not be performed.
///
/// Handlers return it. The layers turn it into a page with the right frame for the visitor.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Failure {
    pub(in crate::http::dashboard) status: StatusCode,
    pub(in crate::http::dashboard) title: &'static str,
    pub(in crate::http::dashboard) detail: String,
}

impl Failure {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }

    /// The requested thing does not exist.
    pub(in crate::http::dashboard) fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// The visitor's role does not allow this.
    pub(in crate::http::dashboard) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", detail)
    }

    /// The request is invalid.
    pub(in crate::http::dashboard) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Invalid request", detail)
    }

    /// Too many requests run at once.
    pub(in crate::http::dashboard) fn busy() -> Self {
        let detail =
            "Too many requests read the database at this moment. Try again in a few seconds.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", detail)
    }

    /// The path does not support this method.
    pub(in crate::http::dashboard) fn no_method() -> Self {
        let detail = "This page does not support this HTTP method.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Invalid request", detail)
    }

    /// A bug in hubferry. The log has the details.
    pub(in crate::http::dashboard) fn internal() -> Self {
        let detail = "This is a bug in hubferry. The log has the details under the request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something broke", detail)
    }
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        Problem::from(error).into()
    }
}

/// The same error as the API's, as a page.
impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        match (problem.status(), problem.code()) {
            (status, "database_unavailable") => {
                let detail = "The database is not available. Nothing was changed; events that were \
                              accepted are safe and wait. Try again in a moment.";
                Self::new(status, "No database", detail)
            }
            (StatusCode::INTERNAL_SERVER_ERROR, _) => Self::internal(),
            (status, _) => Self::new(status, title(status), sentence(problem.detail())),
        }
    }
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::CONFLICT => "Not possible now",
        StatusCode::SERVICE_UNAVAILABLE => "Busy",
        _ => "Invalid request",
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.detail.clone()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}
