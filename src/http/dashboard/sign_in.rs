//! Signing in with a key, signing out, and the colour scheme.

use askama::Template;
use axum::extract::{Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use chrono::TimeDelta;
use serde::Deserialize;

use crate::access::SignIn;
use crate::http::AppState;
use crate::http::auth::peer;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::guard::{SESSION, THEME};
use crate::http::dashboard::layout::link::local;
use crate::http::dashboard::layout::page::{Look, Theme, Visitor, cookie, html};
use crate::http::dashboard::layout::when::span;
use crate::http::problem::Problem;

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    look: Look,
    next: String,
    /// Why the last attempt failed.
    refusal: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
pub(in crate::http::dashboard) struct Next {
    #[serde(default)]
    next: String,
}

/// `GET /admin/sign-in`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    look: Look,
    headers: HeaderMap,
    Query(Next { next }): Query<Next>,
) -> Result<Response, Failure> {
    if let Some(cookie) = cookie(&headers, SESSION) {
        let now = state.operator.now().await?;
        if state.access.session(cookie, now).await.map_err(Problem::from)?.is_some() {
            return Ok(Redirect::to(local(&next)).into_response());
        }
    }
    let next = local(&next).to_owned();
    Ok(html(StatusCode::OK, &SignInPage { look, next, refusal: None }))
}

#[derive(Deserialize)]
pub(in crate::http::dashboard) struct Given {
    #[serde(default)]
    key: String,
    #[serde(default)]
    next: String,
}

/// `POST /admin/sign-in`.
pub(in crate::http::dashboard) async fn sign_in(
    State(state): State<AppState>,
    look: Look,
    request: Request,
) -> Result<Response, Failure> {
    let from = peer(request.extensions());
    let https = state.is_https || came_by_https(request.headers());
    let Form(given) = form::<Given>(request).await?;
    let next = local(&given.next).to_owned();
    let now = state.operator.now().await?;
    let refused = |status, reason: String| {
        html(status, &SignInPage { look, next: next.clone(), refusal: Some(reason) })
    };
    Ok(match state.access.sign_in(given.key.trim(), from, now).await.map_err(Problem::from)? {
        SignIn::Welcome { cookie, session } => {
            let life = (session.expires_at - now).num_seconds().max(0);
            let secure = if https { "; Secure" } else { "" };
            let cookie = format!(
                "{SESSION}={cookie}; Path=/admin; Max-Age={life}; HttpOnly; SameSite=Strict{secure}"
            );
            with_cookie(Redirect::to(&next).into_response(), &cookie)?
        }
        SignIn::Wrong => refused(
            StatusCode::UNAUTHORIZED,
            "This key does not open the dashboard. It may be mistyped, expired, revoked, or a key \
             for sending events only."
                .into(),
        ),
        SignIn::Throttled { retry_after } => {
            // Rounded up, so that an attempt after this time is accepted.
            let wait = TimeDelta::from_std(retry_after).unwrap_or_default() + TimeDelta::seconds(1);
            let wait = TimeDelta::seconds(wait.num_seconds());
            let reason = format!("Too many wrong keys. Try again in {}.", span(wait));
            let mut response = refused(StatusCode::TOO_MANY_REQUESTS, reason);
            let seconds = HeaderValue::from(wait.num_seconds());
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
            response
        }
    })
}

/// `POST /admin/sign-out`.
pub(in crate::http::dashboard) async fn sign_out(
    State(state): State<AppState>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    if let Some(cookie) = cookie(&headers, SESSION) {
        state.access.sign_out(cookie).await.map_err(Problem::from)?;
    }
    let secure = if state.is_https { "; Secure" } else { "" };
    let gone = format!("{SESSION}=; Path=/admin; Max-Age=0; HttpOnly; SameSite=Strict{secure}");
    with_cookie(Redirect::to("/admin/sign-in").into_response(), &gone)
}

#[derive(Deserialize)]
pub(in crate::http::dashboard) struct Choice {
    #[serde(default)]
    theme: String,
    #[serde(default)]
    next: String,
}

/// `POST /admin/theme`: stores the colour scheme for a year.
pub(in crate::http::dashboard) async fn theme(
    State(state): State<AppState>,
    _: Visitor,
    Form(choice): Form<Choice>,
) -> Result<Response, Failure> {
    let word = Theme::parse(&choice.theme).word();
    let secure = if state.is_https { "; Secure" } else { "" };
    let cookie =
        format!("{THEME}={word}; Path=/admin; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
    with_cookie(Redirect::to(local(&choice.next)).into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Result<Response, Failure> {
    let value = HeaderValue::from_str(cookie).map_err(|_| Failure::internal())?;
    response.headers_mut().append(header::SET_COOKIE, value);
    Ok(response)
}

/// Parses a form. An invalid one is refused with a page.
async fn form<T: serde::de::DeserializeOwned>(request: Request) -> Result<Form<T>, Failure> {
    use axum::extract::FromRequest;
    Form::from_request(request, &()).await.map_err(|_| Failure::invalid("The form cannot be read."))
}

/// Whether the visitor's connection was encrypted, according to the proxy in front or the browser.
fn came_by_https(headers: &HeaderMap) -> bool {
    let says = |name: &str, start: &str| {
        headers.get(name).and_then(|v| v.to_str().ok()).is_some_and(|v| v.starts_with(start))
    };
    says("x-forwarded-proto", "https") || says("origin", "https://")
}
