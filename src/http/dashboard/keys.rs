//! The keys page: lists, makes and revokes keys.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use super::failure::Failure;
use super::forms::instant;
use super::page::{Page, Section, Visitor, html};
use super::when::When;
use super::words::Badge;
use crate::access::{KeyView, NewKey, RefusedKey, Role};
use crate::http::AppState;

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
pub(super) struct Confirmed {
    confirm: String,
}

/// The form for a new key.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct KeyForm {
    name: String,
    role: String,
    expires_at: String,
}

/// `GET /admin/keys`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    let form = KeyForm { role: "viewer".into(), ..KeyForm::default() };
    whole(StatusCode::OK, &state, &visitor, form, Ok(None)).await
}

/// `POST /admin/keys`: shows the new key, or what is wrong with the form.
pub(super) async fn make(
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
    let new = NewKey { name: form.name.trim().to_owned(), role, expires_at };
    match state.access.make_key(&new, visitor.name(), visitor.now).await {
        Ok((view, key)) => {
            let form = KeyForm { role: "viewer".into(), ..KeyForm::default() };
            let fresh = Fresh { name: view.name, key };
            whole(StatusCode::CREATED, &state, &visitor, form, Ok(Some(fresh))).await
        }
        Err(RefusedKey::Invalid(fault)) => {
            let fault = Err(fault.to_owned());
            whole(StatusCode::UNPROCESSABLE_ENTITY, &state, &visitor, form, fault).await
        }
        Err(RefusedKey::Queue(error)) => Err(error.into()),
    }
}

/// `POST /admin/keys/{id}/revoke`: first shows what will be lost, then revokes the key.
pub(super) async fn revoke(
    State(state): State<AppState>,
    visitor: Visitor,
    Path(id): Path<String>,
    Form(confirmed): Form<Confirmed>,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    let unknown = || Failure::unknown("There is no such key, or it has been revoked before.");
    let id: i64 = id.parse().map_err(|_| unknown())?;
    if confirmed.confirm != "yes" {
        let keys = state.access.keys().await?.into_iter().map(|key| line(key, &visitor));
        let key = keys.into_iter().find(|key| key.id == id && key.live).ok_or_else(unknown)?;
        let page = Page::new(&visitor, Section::Keys, format!("Revoke {}?", key.name));
        return Ok(html(StatusCode::OK, &RevokePage { page, key }));
    }
    if !state.access.revoke_key(id, visitor.name(), visitor.now).await? {
        return Err(unknown());
    }
    Ok(Redirect::to("/admin/keys").into_response())
}

async fn whole(
    status: StatusCode,
    state: &AppState,
    visitor: &Visitor,
    form: KeyForm,
    outcome: Result<Option<Fresh>, String>,
) -> Result<Response, Failure> {
    let keys = state.access.keys().await?;
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
