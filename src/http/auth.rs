//! Who may come in: the key of a request, and what its role opens.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;
use super::problem::Problem;
use crate::access::{Actor, Role};

/// Whose key the request carries.
async fn actor(state: &AppState, parts: &Parts) -> Result<Actor, Problem> {
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let key = given.and_then(|v| {
        let (scheme, key) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let Some(key) = key else {
        let detail = "send the key in the header `Authorization: Bearer <key>`";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "missing_key", detail));
    };
    state.access.key(key, state.door.now()).await?.ok_or_else(|| {
        let detail = "this key opens nothing: it is wrong, has expired or was revoked";
        Problem::new(StatusCode::UNAUTHORIZED, "invalid_key", detail)
    })
}

fn check(actor: &Actor, needed: Role) -> Result<(), Problem> {
    if actor.role.may(needed) {
        return Ok(());
    }
    let detail = format!(
        "a key of the role `{}` may not do this: it needs the role `{}`",
        actor.role.as_str(),
        needed.as_str()
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "wrong_role", detail))
}

/// Extracted first by what only an ingest or admin key may do.
#[derive(Debug, Clone, Copy)]
pub struct IngestKey;

impl FromRequestParts<AppState> for IngestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        check(&actor(state, parts).await?, Role::Ingest).map(|()| Self)
    }
}

/// Lets only keys through that may look, and notes whose it is.
///
/// # Errors
/// 401 without a good key, 403 for a key that may only send.
pub async fn viewers_only(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let actor = actor(&state, &parts).await?;
    check(&actor, Role::Viewer)?;
    parts.extensions.insert(actor);
    let _turn = state.turn().await?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}

macro_rules! role {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $name(pub Actor);

        impl<S: Sync> FromRequestParts<S> for $name {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
                // Behind `viewers_only` there always is one.
                let actor = parts.extensions.get::<Actor>().cloned().ok_or_else(Problem::internal)?;
                check(&actor, Role::$name).map(|()| Self(actor))
            }
        }
    };
}

role!(/// Whoever may look; behind [`viewers_only`].
    Viewer);
role!(/// Whoever may retry, pause and see payloads; behind [`viewers_only`].
    Operator);
role!(/// Whoever may change settings and keys; behind [`viewers_only`].
    Admin);
