//! `/admin/sync/keys`: lists, makes and revokes API keys.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::auth::Admin;
use crate::http::extract::JsonBody;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::keys::Expiry;
use crate::operator::views::{KeyView, Role};

/// A stored key, without its text.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Key {
    id: String,
    /// What the key is for.
    name: String,
    /// The first characters of the key.
    #[schema(example = "hf_3kPzQ1v")]
    prefix: String,
    role: String,
    created_at: DateTime<Utc>,
    created_by: String,
    /// When the key expires, if it does.
    expires_at: Option<DateTime<Utc>>,
    /// When the key was last used, to the minute.
    last_used_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    /// `active`, `expired` or `revoked`.
    state: &'static str,
}

impl Key {
    fn of(key: KeyView, now: DateTime<Utc>) -> Self {
        let state = key.state(now);
        Self {
            id: key.id.to_string(),
            name: key.name,
            prefix: key.prefix,
            role: key.role,
            created_at: key.created_at,
            created_by: key.created_by,
            expires_at: key.expires_at,
            last_used_at: key.last_used_at,
            revoked_at: key.revoked_at,
            state,
        }
    }
}

/// The stored keys, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Keys {
    items: Vec<Key>,
}

/// List the stored keys. The two keys of the settings are not included.
#[utoipa::path(get, path = "/keys", tag = "keys",
    responses((status = 200, body = Keys), (status = 403, body = ProblemBody)))]
pub(super) async fn list(_: Admin, State(state): State<AppState>) -> Result<Json<Keys>, Problem> {
    let (keys, now) = state.operator.keys().await?;
    Ok(Json(Keys { items: keys.into_iter().map(|key| Key::of(key, now)).collect() }))
}

/// A request to make a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "billing backend", "role": "ingest", "expires_in_days": 365}))]
pub(super) struct NewKeyBody {
    /// What the key is for: 1 to 100 characters.
    name: String,
    role: Role,
    /// Days until the key expires, 1 to 3,650. If absent, it does not expire.
    expires_in_days: Option<i64>,
}

/// A new key with its text, which is never shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MadeKey {
    #[serde(flatten)]
    view: Key,
    /// The key itself.
    key: String,
}

/// Make a key. Only this answer contains its text.
#[utoipa::path(post, path = "/keys", tag = "keys", request_body = NewKeyBody,
    responses((status = 201, body = MadeKey), (status = 400, body = ProblemBody),
              (status = 403, body = ProblemBody)))]
pub(super) async fn make(
    Admin(actor): Admin,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<NewKeyBody>,
) -> Result<(StatusCode, Json<MadeKey>), Problem> {
    let expiry = body.expires_in_days.map_or(Expiry::Never, Expiry::InDays);
    let made = state.operator.make_key(&body.name, body.role, expiry, &actor).await?;
    let (view, key, now) = made;
    Ok((StatusCode::CREATED, Json(MadeKey { view: Key::of(view, now), key })))
}

/// The confirmation that a key was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Revoked {
    /// Always `true`.
    revoked: bool,
}

/// Revoke a key immediately and permanently, and end the sessions made with it.
#[utoipa::path(post, path = "/keys/{id}/revoke", tag = "keys",
    params(("id" = String, Path, description = "The key's number", example = "1")),
    responses((status = 200, body = Revoked), (status = 403, body = ProblemBody),
              (status = 404, body = ProblemBody)))]
pub(super) async fn revoke(
    Admin(actor): Admin,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Revoked>, Problem> {
    state.operator.revoke_key(&id, &actor).await?;
    Ok(Json(Revoked { revoked: true }))
}
