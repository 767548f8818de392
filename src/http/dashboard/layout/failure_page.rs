//! Errors as pages in the style of the dashboard.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;

use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::page::{Look, Page, Section, Visitor, html};

/// The `Retry-After` of an answer without a database, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("5");

impl Failure {
    /// Renders the page, in the right frame for the visitor.
    pub(in crate::http::dashboard) fn page(
        self,
        look: &Look,
        visitor: Option<&Visitor>,
    ) -> Response {
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
