//! Errors as pages in the style of the dashboard.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use askama::Template;

use super::page::{Look, Page, Section, Visitor, html};
use crate::queue::QueueError;

/// Why a page cannot be shown or an action not be performed.
///
/// Handlers return it. The layers turn it into a page with the right frame for the visitor.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: String,
}

/// The `Retry-After` of an answer without a database, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Failure {
    fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self { status, title, detail: detail.into() }
    }

    /// The requested thing does not exist.
    pub(super) fn unknown(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Not found", detail)
    }

    /// The visitor's role does not allow this.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not allowed", detail)
    }

    /// The request is invalid.
    pub(super) fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Not understood", detail)
    }

    /// The action does not fit the current state.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Not possible now", detail)
    }

    /// Too many requests run at once.
    pub(super) fn busy() -> Self {
        let detail = "Too much is being looked at. Come again in a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "Busy", detail)
    }

    /// The path does not support this method.
    pub(super) fn no_method() -> Self {
        let detail = "This page cannot be asked for in this way.";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "Not understood", detail)
    }

    /// A bug in hubferry. The log has the details.
    pub(super) fn internal() -> Self {
        let detail = "An error of ours. The log names it by the request's id.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Something broke", detail)
    }

    /// Renders the page, in the right frame for the visitor.
    pub(super) fn page(self, look: &Look, visitor: Option<&Visitor>) -> Response {
        let status = self.status;
        let mut response = match visitor {
            Some(visitor) => {
                let page = Page::new(visitor, Section::None, self.title);
                html(status, &Framed { page, failure: self })
            }
            None => html(status, &Alone { look: look.clone(), failure: self }),
        };
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let source = std::error::Error::source(&error).map(ToString::to_string);
        if let QueueError::Unavailable(_) = error {
            tracing::warn!(error = %error, source, "a page met no database");
            let detail = "The database is not available. Nothing was changed; events that were \
                          accepted are safe and wait. Try again in a moment.";
            return Self::new(StatusCode::SERVICE_UNAVAILABLE, "No database", detail);
        }
        tracing::error!(error = %error, source, "a page failed");
        Self::internal()
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.detail.clone()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Template)]
#[template(path = "failure.html")]
struct Framed {
    page: Page,
    failure: Failure,
}

#[derive(Template)]
#[template(path = "failure_alone.html")]
struct Alone {
    look: Look,
    failure: Failure,
}
