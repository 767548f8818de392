//! Layers around every page: headers, session, CSRF check, and errors as pages.

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequest, OriginalUri, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use crate::access::Role;
use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::link::link;
use crate::http::dashboard::layout::page::{Look, Theme, Visitor, cookie};
use crate::http::problem::Problem;

/// The name of the session cookie.
pub(in crate::http::dashboard) const SESSION: &str = "hubferry_session";
/// The name of the colour scheme cookie.
pub(in crate::http::dashboard) const THEME: &str = "hubferry_theme";
/// The largest form, in bytes. A page of selected rows is far smaller.
const LARGEST_FORM: usize = 256 * 1024;

/// Sets the look of each request and the headers of each answer. An error without a page becomes a
/// page without the navigation.
pub(in crate::http::dashboard) async fn look(mut request: Request, next: Next) -> Response {
    let api = request.extensions().get::<OriginalUri>().map_or(request.uri(), |uri| &uri.0).path();
    if api == "/admin/sync" || api.starts_with("/admin/sync/") {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
            .into_response();
    }
    let look = Look {
        nonce: uuid::Uuid::new_v4().simple().to_string(),
        theme: Theme::parse(cookie(request.headers(), THEME).unwrap_or_default()),
    };
    request.extensions_mut().insert(look.clone());
    let mut response = if crosses_sites(&request) {
        Failure::forbidden("The form came from another site. Open the page here and send it again.")
            .into_response()
    } else {
        next.run(request).await
    };
    if let Some(failure) = response.extensions_mut().remove::<Failure>() {
        response = failure.page(&look, None);
    }
    secure(response.headers_mut(), &look.nonce);
    response
}

/// Whether a request comes from another site. Browsers state the origin. Other clients do not, but
/// they have no cookie either.
fn crosses_sites(request: &Request) -> bool {
    let site = request.headers().get("sec-fetch-site").map(HeaderValue::as_bytes);
    request.method() == Method::POST
        && site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"))
}

fn secure(headers: &mut HeaderMap, nonce: &str) {
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; \
         connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    let fixed = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // Files set this header themselves.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}

/// Accepts only visitors who are signed in, and their forms only with the token of their session.
pub(in crate::http::dashboard) async fn signed_in(
    State(state): State<AppState>,
    look: Look,
    mut request: Request,
    next: Next,
) -> Response {
    let (cookie, here) = (cookie(request.headers(), SESSION).map(str::to_owned), here(&request));
    let visitor = match visitor(&state, &look, cookie, here).await {
        Ok(Some(visitor)) => visitor,
        Ok(None) => return to_sign_in(&request),
        Err(failure) => return failure.into_response(),
    };
    if request.method() == Method::POST {
        request = match with_token(&visitor, request).await {
            Ok(request) => request,
            Err(failure) => return failure.page(&look, Some(&visitor)),
        };
    }
    request.extensions_mut().insert(visitor.clone());
    let _turn = match state.turn().await {
        Ok(turn) => turn,
        Err(_) => return Failure::busy().page(&look, Some(&visitor)),
    };
    let mut response = match visitor.must(Role::Viewer) {
        Ok(()) => next.run(request).await,
        Err(failure) => failure.into_response(),
    };
    match response.extensions_mut().remove::<Failure>() {
        Some(failure) => failure.page(&look, Some(&visitor)),
        None => response,
    }
}

async fn visitor(
    state: &AppState,
    look: &Look,
    cookie: Option<String>,
    here: String,
) -> Result<Option<Visitor>, Failure> {
    let Some(cookie) = cookie else { return Ok(None) };
    let now = state.operator.now().await?;
    let session = state.access.session(&cookie, now).await.map_err(Problem::from)?;
    Ok(session.map(|session| Visitor { session, look: look.clone(), now, here }))
}

/// Returns the visitor's page: the path with its query, or for a form the page that contains it.
fn here(request: &Request) -> String {
    let path = request.uri().path();
    if request.method() != Method::POST {
        return request.uri().path_and_query().map_or(path, |path| path.as_str()).to_owned();
    }
    let page = path.rsplit_once('/').map_or("", |(page, _)| page);
    if page == "/admin" { path.to_owned() } else { page.to_owned() }
}

/// Redirects to the sign-in page and from there back to the requested page. A request for a part of
/// a page redirects the whole page.
fn to_sign_in(request: &Request) -> Response {
    let asked = request.uri().path_and_query().map_or("", |path| path.as_str());
    let part = request.headers().contains_key("hx-request");
    let next =
        if request.method() == Method::GET && !part && asked != "/admin" { asked } else { "" };
    let way = link("/admin/sign-in", [("next", next)]);
    if part {
        let name = HeaderName::from_static("hx-redirect");
        return (StatusCode::UNAUTHORIZED, [(name, way)]).into_response();
    }
    Redirect::to(&way).into_response()
}

#[derive(Deserialize)]
struct Token {
    csrf: Option<String>,
}

/// Returns the request if the token in its header or form is valid.
async fn with_token(visitor: &Visitor, request: Request) -> Result<Request, Failure> {
    let (parts, body) = request.into_parts();
    let bytes: Bytes = to_bytes(body, LARGEST_FORM)
        .await
        .map_err(|_| Failure::invalid("The form is too large or incomplete."))?;
    let header = parts.headers.get("x-csrf-token").and_then(|v| v.to_str().ok());
    let given = match header {
        Some(token) => Some(token.to_owned()),
        None => {
            let copy = Request::from_parts(parts.clone(), Body::from(bytes.clone()));
            let form = Form::<Token>::from_request(copy, &()).await;
            form.ok().and_then(|Form(token)| token.csrf)
        }
    };
    if given.is_some_and(|given| visitor.session.csrf_ok(&given)) {
        return Ok(Request::from_parts(parts, Body::from(bytes)));
    }
    Err(Failure::forbidden(
        "The form was not from this session, perhaps from before the last sign-in. Open the page \
         again and send it once more.",
    ))
}
