//! Stored keys: how they are made, looked up by their hash, and revoked.

use std::net::IpAddr;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::{Access, Actor, Opened, Role, digest, random};
use crate::queue::doubt::begin;
use crate::queue::{Queue, QueueError};

/// A stored key as people see it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct KeyView {
    /// The number of the key.
    pub id: i64,
    /// What the key is for.
    pub name: String,
    /// The first characters of the key.
    pub prefix: String,
    /// The word of its role.
    pub role: String,
    /// When the key was made.
    pub created_at: DateTime<Utc>,
    /// Who made it.
    pub created_by: String,
    /// When the key expires, if it does.
    pub expires_at: Option<DateTime<Utc>>,
    /// When the key was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When the key was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    id: i64,
    name: String,
    prefix: String,
    role: String,
    last_used_at: Option<DateTime<Utc>>,
}

impl KeyView {
    /// Returns `active`, `expired` or `revoked`.
    #[must_use]
    pub fn state(&self, now: DateTime<Utc>) -> &'static str {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(end)) if end <= now => "expired",
            _ => "active",
        }
    }
}

/// The properties of a key that shall be made.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// What the key is for: 1 to 100 characters.
    pub name: String,
    /// The role of the key.
    pub role: Role,
    /// When the key expires, if it does.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum RefusedKey {
    /// The request is invalid.
    #[error("{0}")]
    Invalid(&'static str),
    /// The database failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

impl From<sqlx::Error> for RefusedKey {
    fn from(error: sqlx::Error) -> Self {
        Self::Queue(error.into())
    }
}

/// The prefix of every key, so that people and secret scanners recognise one.
pub(super) const MARK: &str = "hf_";
/// The length of a key: the prefix, and 256 bits as text.
const LENGTH: usize = MARK.len() + 43;
/// How many characters of a key are shown.
const SHOWN: usize = 10;
/// The time of last use is updated at most once in this time.
const NOTED: TimeDelta = TimeDelta::minutes(1);
/// The most keys that are listed, more than anybody needs.
const MOST_KEYS: i64 = 1_000;

/// Whether `key` has the form of a stored key.
fn is_made(key: &str) -> bool {
    key.len() == LENGTH
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

impl Access {
    /// Finds out whose key this is. `from` is the client's address, and `now` returns the time.
    /// Only a key in the form of a stored key is looked up in the database. All other keys are
    /// decided without it.
    ///
    /// Stored keys cannot be guessed. Attempts with other keys are rate limited by address. A
    /// rate-limited address can use a key of the settings only if it has shown a valid key before,
    /// so that a correct guess looks like a wrong one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key(
        &self,
        given: &str,
        from: IpAddr,
        now: impl Future<Output = Result<DateTime<Utc>, QueueError>>,
    ) -> Result<Opened, QueueError> {
        let (hash, at) = (digest(given), self.clock());
        let actor = if given.starts_with(MARK) {
            if !is_made(given) {
                return Ok(Opened::Nothing);
            }
            self.stored(&hash, now.await?).await?.map(|(_, actor)| actor)
        } else {
            let actor = self.configured(&hash);
            let trusted = actor.is_some() && self.guesses.trusts(from, at);
            if let Some(retry_after) = self.guesses.wait(from, at).filter(|_| !trusted) {
                return Ok(Opened::Braked { retry_after });
            }
            if actor.is_none() {
                self.guesses.failed(from, at);
            }
            actor
        };
        let Some(actor) = actor else { return Ok(Opened::Nothing) };
        self.guesses.trust(from, at);
        Ok(Opened::For(actor))
    }

    /// Looks up the stored key with this hash.
    pub(super) async fn stored(
        &self,
        hash: &[u8; 32],
        now: DateTime<Utc>,
    ) -> Result<Option<(i64, Actor)>, QueueError> {
        let found: Option<Stored> = sqlx::query_as(
            "SELECT id, name, prefix, role, last_used_at FROM api_key
             WHERE hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        )
        .bind(hash.as_slice())
        .bind(now)
        .fetch_optional(&self.pool)
        .await?;
        let Some(Stored { id, name, prefix, role, last_used_at }) = found else { return Ok(None) };
        if last_used_at.is_none_or(|at| now - at >= NOTED) {
            sqlx::query("UPDATE api_key SET last_used_at = $2 WHERE id = $1")
                .bind(id)
                .bind(now)
                .execute(&self.pool)
                .await?;
        }
        let role = role.parse().map_err(QueueError::Corrupt)?;
        Ok(Some((id, Actor { name: format!("{name} ({prefix}…)"), role })))
    }

    /// Lists the stored keys, newest first, including expired and revoked ones.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self) -> Result<Vec<KeyView>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT id, name, prefix, role, created_at, created_by, expires_at, last_used_at,
                    revoked_at
             FROM api_key ORDER BY id DESC LIMIT $1",
        )
        .bind(MOST_KEYS)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Makes a key and returns it with its text, which cannot be shown again.
    ///
    /// # Errors
    /// When the name is empty or too long, the expiry is in the past, or the database fails.
    pub async fn make_key(
        &self,
        new: &NewKey,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<(KeyView, String), RefusedKey> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(RefusedKey::Invalid("name: must be 1 to 100 characters on one line"));
        }
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(RefusedKey::Invalid("expires: must lie ahead"));
        }
        let text = format!("{MARK}{}", random());
        let mut tx = begin(&self.pool).await?;
        let known: i64 =
            sqlx::query_scalar("SELECT count(*) FROM api_key WHERE revoked_at IS NULL")
                .fetch_one(&mut *tx)
                .await?;
        if known >= MOST_KEYS {
            return Err(RefusedKey::Invalid("there are a thousand keys already: revoke some"));
        }
        let view: KeyView = sqlx::query_as(
            "INSERT INTO api_key (name, prefix, hash, role, created_at, created_by, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             RETURNING id, name, prefix, role, created_at, created_by, expires_at, last_used_at,
                       revoked_at",
        )
        .bind(name)
        .bind(&text[..SHOWN])
        .bind(digest(&text).as_slice())
        .bind(new.role.as_str())
        .bind(now)
        .bind(actor)
        .bind(new.expires_at)
        .fetch_one(&mut *tx)
        .await?;
        let details = json!({ "name": name, "role": new.role, "expires_at": new.expires_at });
        Queue::note_in(&mut tx, now, actor, "make_key", Some(&view.prefix), details).await?;
        tx.commit().await?;
        Ok((view, text))
    }

    /// Revokes a key and ends the sessions made with it. Returns `false` if there is no such key or
    /// it was revoked before.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_key(
        &self,
        id: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let prefix: Option<String> = sqlx::query_scalar(
            "UPDATE api_key SET revoked_at = $2, revoked_by = $3
             WHERE id = $1 AND revoked_at IS NULL RETURNING prefix",
        )
        .bind(id)
        .bind(now)
        .bind(actor)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(prefix) = prefix else { return Ok(false) };
        sqlx::query("DELETE FROM session WHERE key_id = $1").bind(id).execute(&mut *tx).await?;
        Queue::note_in(&mut tx, now, actor, "revoke_key", Some(&prefix), json!({ "id": id }))
            .await?;
        tx.commit().await?;
        Ok(true)
    }
}
