//! What every page needs: its look, its visitor, and its place in the navigation.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};

use crate::access::{Actor, Role, Session};
use crate::http::dashboard::layout::assets;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::pages::PAGES;
pub(in crate::http::dashboard) use crate::http::dashboard::pages::Section;

/// Light, dark, or the setting of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::http::dashboard) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(in crate::http::dashboard) const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Auto];

    pub(in crate::http::dashboard) fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.word() == word).unwrap_or_default()
    }

    pub(in crate::http::dashboard) fn word(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Auto => "Auto",
            Self::Light => "Light",
            Self::Dark => "Dark",
        }
    }
}

/// What a page needs even without a visitor.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Look {
    /// Allows the scripts of this page to run, and no others.
    pub(in crate::http::dashboard) nonce: String,
    pub(in crate::http::dashboard) theme: Theme,
}

impl Look {
    pub(in crate::http::dashboard) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

/// The visitor with a valid session, and the database's time of the request.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Visitor {
    pub(in crate::http::dashboard) session: Session,
    pub(in crate::http::dashboard) look: Look,
    pub(in crate::http::dashboard) now: DateTime<Utc>,
    /// The path and query of the request, for links back.
    pub(in crate::http::dashboard) here: String,
}

impl Visitor {
    /// Returns the name for the audit log.
    pub(in crate::http::dashboard) fn name(&self) -> &str {
        &self.session.actor.name
    }

    /// Returns who acts.
    pub(in crate::http::dashboard) fn actor(&self) -> &Actor {
        &self.session.actor
    }

    pub(in crate::http::dashboard) fn may(&self, needed: Role) -> bool {
        self.session.actor.role.may(needed)
    }

    /// Refuses a visitor without the rights of `needed`.
    pub(in crate::http::dashboard) fn must(&self, needed: Role) -> Result<(), Failure> {
        if self.may(needed) {
            return Ok(());
        }
        let (has, needed) = (self.session.actor.role.as_str(), needed.as_str());
        Err(Failure::forbidden(format!(
            "This needs the role {needed}; you are signed in as {has}. Sign in with another key, \
             or ask an administrator."
        )))
    }

    pub(in crate::http::dashboard) fn when(&self, at: DateTime<Utc>) -> When {
        When::brief(at, self.now)
    }

    pub(in crate::http::dashboard) fn full(&self, at: DateTime<Utc>) -> When {
        When::full(at, self.now)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Failure::internal)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Look {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Failure::internal)
    }
}

/// An entry of the navigation.
pub(in crate::http::dashboard) struct Place {
    pub(in crate::http::dashboard) href: &'static str,
    pub(in crate::http::dashboard) label: &'static str,
    pub(in crate::http::dashboard) current: bool,
}

/// A sentence above the page that tells the result of an action.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Notice {
    /// `good`, `warn`, `bad` or empty.
    pub(in crate::http::dashboard) tone: &'static str,
    pub(in crate::http::dashboard) text: String,
}

/// What the frame of every page shows.
pub(in crate::http::dashboard) struct Page {
    pub(in crate::http::dashboard) title: String,
    pub(in crate::http::dashboard) section: Section,
    pub(in crate::http::dashboard) look: Look,
    pub(in crate::http::dashboard) csrf: String,
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) role: Role,
    pub(in crate::http::dashboard) here: String,
    pub(in crate::http::dashboard) notice: Option<Notice>,
}

impl Page {
    pub(in crate::http::dashboard) fn new(
        visitor: &Visitor,
        section: Section,
        title: impl Into<String>,
    ) -> Self {
        Self {
            title: title.into(),
            section,
            look: visitor.look.clone(),
            csrf: visitor.session.csrf.clone(),
            name: visitor.name().to_owned(),
            role: visitor.session.actor.role,
            here: visitor.here.clone(),
            notice: None,
        }
    }

    /// Adds the result of the last action.
    pub(in crate::http::dashboard) fn with(mut self, notice: Option<Notice>) -> Self {
        self.notice = notice;
        self
    }

    pub(in crate::http::dashboard) fn operates(&self) -> bool {
        self.role.may(Role::Operator)
    }

    pub(in crate::http::dashboard) fn administers(&self) -> bool {
        self.role.may(Role::Admin)
    }

    pub(in crate::http::dashboard) fn places(&self) -> Vec<Place> {
        let allowed = PAGES.iter().filter(|page| self.role.may(page.role));
        allowed
            .filter_map(|page| {
                let (href, label) = (page.path, page.navigation?);
                Some(Place { href, label, current: page.section == self.section })
            })
            .collect()
    }

    /// Returns the buttons for the colour scheme: word, label, whether it is selected.
    pub(in crate::http::dashboard) fn themes(&self) -> Vec<(&'static str, &'static str, bool)> {
        let one = |theme: Theme| (theme.word(), theme.label(), theme == self.look.theme);
        Theme::ALL.into_iter().map(one).collect()
    }
}

/// Renders a page. A template that fails to render is a bug.
pub(in crate::http::dashboard) fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Renders a page with status 200.
pub(in crate::http::dashboard) fn page(template: &impl Template) -> Response {
    html(StatusCode::OK, template)
}

/// Returns the value of a cookie.
pub(in crate::http::dashboard) fn cookie<'a>(
    headers: &'a HeaderMap,
    name: &str,
) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
