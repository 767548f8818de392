//! The keys page: lists, makes and revokes keys.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::instant;
use crate::http::dashboard::layout::page::{Page, Section, Visitor, html};
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::layout::words::Badge;
use crate::operator::OperatorError;
use crate::operator::keys::Expiry;
use crate::operator::views::{KeyView, Role};

struct Line {
    id: i64,
    name: String,
    prefix: String,
    role: String,
    state: Badge,
    made: When,
    made_by: String,
    expires: Option<When>,
    used: Option<When>,
    live: bool,
}

/// A key that was just made. Its text is shown only this once.
struct Fresh {
    name: String,
    key: String,
}

#[derive(Template)]
#[template(path = "keys.html")]
struct KeysPage {
    page: Page,
    fresh: Option<Fresh>,
    fault: Option<String>,
    name: String,
    roles: Vec<(&'static str, &'static str, bool)>,
    expires_at: String,
    keys: Vec<Line>,
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    page: Page,
    key: Line,
}

/// Whether the action was confirmed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Confirmed {
    confirm: String,
}

/// The form for a new key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct KeyForm {
    name: String,
    role: String,
    expires_at: String,
}

/// `GET /admin/keys`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    let form = KeyForm { role: "viewer".into(), ..KeyForm::default() };
    whole(StatusCode::OK, &state, &visitor, form, Ok(None)).await
}

/// `POST /admin/keys`: shows the new key, or what is wrong with the form.
pub(in crate::http::dashboard) async fn make(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<KeyForm>,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    let read = form.role.parse::<Role>().and_then(|role| Ok((role, instant(&form.expires_at)?)));
    let (role, expires_at) = match read {
        Ok(read) => read,
        Err(fault) => {
            return whole(StatusCode::UNPROCESSABLE_ENTITY, &state, &visitor, form, Err(fault))
                .await;
        }
    };
    let expiry = expires_at.map_or(Expiry::Never, Expiry::At);
    match state.operator.make_key(form.name.trim(), role, expiry, visitor.actor()).await {
        Ok((view, key, _)) => {
            let form = KeyForm { role: "viewer".into(), ..KeyForm::default() };
            let fresh = Fresh { name: view.name, key };
            whole(StatusCode::CREATED, &state, &visitor, form, Ok(Some(fresh))).await
        }
        Err(OperatorError::Request(fault)) => {
            whole(StatusCode::UNPROCESSABLE_ENTITY, &state, &visitor, form, Err(fault)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// `POST /admin/keys/{id}/revoke`: first shows what will be lost, then revokes the key.
pub(in crate::http::dashboard) async fn revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    if confirmed.confirm != "yes" {
        let (keys, _) = state.operator.keys().await?;
        let mut keys = keys.into_iter().map(|key| line(key, &visitor));
        let key = keys.find(|key| key.live && key.id.to_string() == id);
        let key = key.ok_or(OperatorError::UnknownKey)?;
        let page = Page::new(&visitor, Section::Keys, format!("Revoke {}?", key.name));
        return Ok(html(StatusCode::OK, &RevokePage { page, key }));
    }
    state.operator.revoke_key(&id, visitor.actor()).await?;
    Ok(Redirect::to("/admin/keys").into_response())
}

async fn whole(
    status: StatusCode,
    state: &AppState,
    visitor: &Visitor,
    form: KeyForm,
    outcome: Result<Option<Fresh>, String>,
) -> Result<Response, Failure> {
    let (keys, _) = state.operator.keys().await?;
    let (fresh, fault) = match outcome {
        Ok(fresh) => (fresh, None),
        Err(fault) => (None, Some(fault)),
    };
    Ok(html(
        status,
        &KeysPage {
            page: Page::new(visitor, Section::Keys, "Keys"),
            fresh,
            fault,
            name: form.name,
            roles: roles(&form.role),
            expires_at: form.expires_at,
            keys: keys.into_iter().map(|key| line(key, visitor)).collect(),
        },
    ))
}

fn roles(chosen: &str) -> Vec<(&'static str, &'static str, bool)> {
    let label = |role: Role| match role {
        Role::Ingest => "ingest: send events",
        Role::Viewer => "viewer: look",
        Role::Operator => "operator: also retry, pause and reveal",
        Role::Admin => "admin: also settings and keys",
    };
    let one = |role: Role| (role.as_str(), label(role), role.as_str() == chosen);
    Role::ALL.into_iter().map(one).collect()
}

fn line(key: KeyView, visitor: &Visitor) -> Line {
    let state = key.state(visitor.now);
    let live = state == "active";
    Line {
        id: key.id,
        name: key.name,
        prefix: format!("{}…", key.prefix),
        role: key.role,
        state: Badge::new(if live { "good" } else { "" }, state),
        made: visitor.when(key.created_at),
        made_by: key.created_by,
        expires: key.expires_at.map(|at| visitor.when(at)),
        used: key.last_used_at.map(|at| visitor.when(at)),
        live,
    }
}
