//! What every page needs: its look, its visitor, and its place in the navigation.

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};

use super::assets;
use super::failure::Failure;
use super::when::When;
use crate::access::{Role, Session};

/// Light, dark, or the setting of the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(super) const ALL: [Self; 3] = [Self::Light, Self::Dark, Self::Auto];

    pub(super) fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|theme| theme.word() == word).unwrap_or_default()
    }

    pub(super) fn word(self) -> &'static str {
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
pub(super) struct Look {
    /// Allows the scripts of this page to run, and no others.
    pub(super) nonce: String,
    pub(super) theme: Theme,
}

impl Look {
    pub(super) fn asset(&self, name: &str) -> String {
        assets::address(name)
    }
}

/// The visitor with a valid session, and the database's time of the request.
#[derive(Debug, Clone)]
pub(super) struct Visitor {
    pub(super) session: Session,
    pub(super) look: Look,
    pub(super) now: DateTime<Utc>,
    /// The path and query of the request, for links back.
    pub(super) here: String,
}

impl Visitor {
    /// Returns the name for the audit log.
    pub(super) fn name(&self) -> &str {
        &self.session.actor.name
    }

    pub(super) fn may(&self, needed: Role) -> bool {
        self.session.actor.role.may(needed)
    }

    /// Refuses a visitor without the rights of `needed`.
    pub(super) fn must(&self, needed: Role) -> Result<(), Failure> {
        if self.may(needed) {
            return Ok(());
        }
        let (has, needed) = (self.session.actor.role.as_str(), needed.as_str());
        Err(Failure::forbidden(format!(
            "This needs the role {needed}; you are signed in as {has}. Sign in with another key, \
             or ask somebody who has it."
        )))
    }

    pub(super) fn when(&self, at: DateTime<Utc>) -> When {
        When::brief(at, self.now)
    }

    pub(super) fn full(&self, at: DateTime<Utc>) -> When {
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

/// A section of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Overview,
    Queue,
    Records,
    Errors,
    Logs,
    Audit,
    Settings,
    Keys,
    None,
}

/// An entry of the navigation.
pub(super) struct Place {
    pub(super) href: &'static str,
    pub(super) label: &'static str,
    pub(super) current: bool,
}

/// A sentence above the page that tells the result of an action.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    /// `good`, `warn`, `bad` or empty.
    pub(super) tone: &'static str,
    pub(super) text: String,
}

/// What the frame of every page shows.
pub(super) struct Page {
    pub(super) title: String,
    pub(super) section: Section,
    pub(super) look: Look,
    pub(super) csrf: String,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) here: String,
    pub(super) notice: Option<Notice>,
}

impl Page {
    pub(super) fn new(visitor: &Visitor, section: Section, title: impl Into<String>) -> Self {
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
    pub(super) fn with(mut self, notice: Option<Notice>) -> Self {
        self.notice = notice;
        self
    }

    pub(super) fn operates(&self) -> bool {
        self.role.may(Role::Operator)
    }

    pub(super) fn administers(&self) -> bool {
        self.role.may(Role::Admin)
    }

    pub(super) fn places(&self) -> Vec<Place> {
        let all = [
            (Section::Overview, "/admin", "Overview"),
            (Section::Queue, "/admin/queue", "Queue"),
            (Section::Records, "/admin/records", "Records"),
            (Section::Errors, "/admin/errors", "Errors"),
            (Section::Logs, "/admin/logs", "Logs"),
            (Section::Audit, "/admin/audit", "Audit"),
            (Section::Settings, "/admin/settings", "Settings"),
            (Section::Keys, "/admin/keys", "Keys"),
        ];
        let allowed = |section: &Section| *section != Section::Keys || self.administers();
        all.into_iter()
            .filter(|(section, ..)| allowed(section))
            .map(|(section, href, label)| Place { href, label, current: section == self.section })
            .collect()
    }

    /// Returns the buttons for the colour scheme: word, label, whether it is selected.
    pub(super) fn themes(&self) -> Vec<(&'static str, &'static str, bool)> {
        let one = |theme: Theme| (theme.word(), theme.label(), theme == self.look.theme);
        Theme::ALL.into_iter().map(one).collect()
    }
}

/// Renders a page. A template that fails to render is a bug.
pub(super) fn html(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(text) => (status, Html(text)).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Renders a page with status 200.
pub(super) fn page(template: &impl Template) -> Response {
    html(StatusCode::OK, template)
}

/// Returns the value of a cookie.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}
