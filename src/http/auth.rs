//! Authentication: finds the key of a request and checks its role.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::{Extensions, StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;

use super::AppState;
use super::problem::Problem;
use crate::access::{Actor, Opened, Role};

/// Returns the owner of the request's key.
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
    match state.access.key(key, peer(&parts.extensions), state.queue.now()).await? {
        Opened::For(actor) => Ok(actor),
        Opened::Nothing => {
            let detail = "invalid, expired or revoked API key";
            Err(Problem::new(StatusCode::UNAUTHORIZED, "invalid_key", detail))
        }
        Opened::Braked { retry_after } => {
            let detail = "too many wrong keys from this address: correct the key and wait";
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_keys", detail);
            // Rounded up, so that a request after this time is accepted.
            Err(problem.retry_after(retry_after.as_secs() + 1))
        }
    }
}

/// Returns the client's address, for the rate limits.
pub(super) fn peer(extensions: &Extensions) -> IpAddr {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

fn check(actor: &Actor, needed: Role) -> Result<(), Problem> {
    if actor.role.may(needed) {
        return Ok(());
    }
    let detail = format!(
        "this needs the role `{1}`, and the role of this key is `{0}`",
        actor.role.as_str(),
        needed.as_str()
    );
    Err(Problem::new(StatusCode::FORBIDDEN, "wrong_role", detail))
}

/// Extract this first in handlers that only an ingest or admin key may use.
#[derive(Debug, Clone)]
pub struct IngestKey(pub Actor);

impl FromRequestParts<AppState> for IngestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let actor = actor(state, parts).await?;
        check(&actor, Role::Ingest).map(|()| Self(actor))
    }
}

/// Accepts only keys that may read, and records their owner in the request.
///
/// # Errors
/// 401 without a valid key, 403 for a key that may only send.
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
                // `viewers_only` has always run before.
                let actor = parts.extensions.get::<Actor>().cloned().ok_or_else(Problem::internal)?;
                check(&actor, Role::$name).map(|()| Self(actor))
            }
        }
    };
}

role!(/// A key that may read; behind [`viewers_only`].
    Viewer);
role!(/// A key that may retry, pause and read payloads; behind [`viewers_only`].
    Operator);
role!(/// A key that may change settings and keys; behind [`viewers_only`].
    Admin);
