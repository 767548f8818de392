//! Who may come in: bearer keys, compared in constant time.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::AppState;
use super::problem::Problem;

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Send events and ask how far they are.
    Ingest,
    /// Everything under `/admin`.
    Admin,
}

/// The keys, as digests: neither memory nor the time of a comparison tells one.
pub struct Keys {
    ingest: [u8; 32],
    admin: [u8; 32],
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Keys {
    /// The two keys of the settings.
    #[must_use]
    pub fn new(ingest: &str, admin: &str) -> Self {
        Self { ingest: digest(ingest), admin: digest(admin) }
    }

    /// Whether `key` may act as `role`. An admin key may send events too.
    fn allows(&self, key: &str, role: Role) -> bool {
        let given = digest(key);
        let admin = given.ct_eq(&self.admin);
        let ingest = given.ct_eq(&self.ingest) & Choice::from(u8::from(role == Role::Ingest));
        (admin | ingest).into()
    }
}

fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

fn check(state: &AppState, parts: &Parts, role: Role) -> Result<(), Problem> {
    let given = parts.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let key = given.and_then(|v| {
        let (scheme, key) = v.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    match key {
        Some(key) if state.keys.allows(key, role) => Ok(()),
        Some(_) => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "invalid_key",
            "this key does not open this door",
        )),
        None => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "missing_key",
            "send the key in the header `Authorization: Bearer <key>`",
        )),
    }
}

/// Extracted first by what only an ingest or admin key may do.
#[derive(Debug, Clone, Copy)]
pub struct IngestKey;

impl FromRequestParts<AppState> for IngestKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        check(state, parts, Role::Ingest).map(|()| Self)
    }
}

/// Lets only admin keys through.
///
/// # Errors
/// 401 for everybody else.
pub async fn admin_only(
    State(state): State<AppState>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    check(&state, &parts, Role::Admin)?;
    Ok(next.run(Request::from_parts(parts, body)).await)
}
