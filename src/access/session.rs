//! Dashboard sessions: made from a key and carried by a signed cookie. They end with time, with
//! signing out, or with their key.

use std::net::IpAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use subtle::ConstantTimeEq;

use super::keys::MARK;
use super::{Access, Actor, Role, digest, mac, random};
use crate::queue::doubt::begin;
use crate::queue::{Queue, QueueError};

/// How long a session lasts.
const LIFE: TimeDelta = TimeDelta::hours(12);
/// The most sessions of a key. One more ends the oldest.
const MOST_SESSIONS: i64 = 50;
/// How many consecutive wrong keys from one address are each recorded in the audit log.
const NOTED: u32 = 10;

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Who is signed in.
    pub actor: Actor,
    /// The token that every form must carry.
    pub csrf: String,
    /// When the session expires.
    pub expires_at: DateTime<Utc>,
}

#[derive(sqlx::FromRow)]
struct Stored {
    name: Option<String>,
    prefix: Option<String>,
    role: Option<String>,
    csrf: String,
    expires_at: DateTime<Utc>,
}

/// The result of an attempt to sign in.
#[derive(Debug)]
pub enum SignIn {
    /// The key is valid.
    Welcome {
        /// The cookie's value.
        cookie: String,
        /// The session.
        session: Session,
    },
    /// The key is not valid for the dashboard.
    Wrong,
    /// This address has sent too many wrong keys.
    Throttled {
        /// How long to wait before the next attempt.
        retry_after: Duration,
    },
}

impl Access {
    /// Signs in with a key that has at least the role of a viewer. Every session gets a new cookie,
    /// whatever cookie the browser sent.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_in(
        &self,
        key: &str,
        from: IpAddr,
        now: DateTime<Utc>,
    ) -> Result<SignIn, QueueError> {
        let hash = digest(key.trim());
        if let Some(retry_after) = self.throttle.wait(from, now) {
            // Stored keys cannot be guessed, so a valid one is accepted even from a rate-limited
            // address. Somebody who causes the limit can only keep out the key of the settings.
            let ours = key.trim().starts_with(MARK) && self.stored(&hash, now).await?.is_some();
            if !ours {
                return Ok(SignIn::Throttled { retry_after });
            }
        }
        // The attempt is counted before the check, so that parallel attempts are counted too.
        let guesses = self.throttle.failed(from, now);
        let found = match self.configured(&hash) {
            Some(actor) => Some((None, actor)),
            None => self.stored(&hash, now).await?.map(|(id, actor)| (Some(id), actor)),
        };
        let Some((key_id, actor)) = found.filter(|(_, actor)| actor.role.may(Role::Viewer)) else {
            // The audit log records the address, which admins may see. To keep it short, it does
            // not record every further attempt.
            if guesses <= NOTED || guesses.is_multiple_of(100) {
                let mut db = self.pool.acquire().await?;
                let details = json!({ "from": from.to_string(), "wrong_keys": guesses });
                Queue::note_in(&mut db, now, "nobody", "sign_in_refused", None, details).await?;
            }
            return Ok(SignIn::Wrong);
        };
        self.throttle.succeeded(from);
        let (secret, csrf, expires_at) = (random(), random(), now + LIFE);
        let secret_of_all = self.secret().await?;
        let bootstrap = key_id.is_none().then(|| mac(secret_of_all, &self.admin).to_vec());
        let mut tx = begin(&self.pool).await?;
        // Deletes expired sessions, and the oldest of this key if it has too many.
        sqlx::query(
            "DELETE FROM session WHERE expires_at <= $1
                OR hash IN (SELECT hash FROM session WHERE key_id IS NOT DISTINCT FROM $3
                            ORDER BY created_at DESC OFFSET $2)",
        )
        .bind(now)
        .bind(MOST_SESSIONS - 1)
        .bind(key_id)
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "INSERT INTO session (hash, key_id, bootstrap, csrf, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(digest(&secret).as_slice())
        .bind(key_id)
        .bind(bootstrap)
        .bind(&csrf)
        .bind(now)
        .bind(expires_at)
        .execute(&mut *tx)
        .await?;
        let details = json!({ "from": from.to_string() });
        Queue::note_in(&mut tx, now, &actor.name, "sign_in", None, details).await?;
        tx.commit().await?;
        let cookie = format!("{secret}.{}", signature(secret_of_all, &secret));
        Ok(SignIn::Welcome { cookie, session: Session { actor, csrf, expires_at } })
    }

    /// Returns the session of a cookie, or `None` if the cookie is invalid or its session or key
    /// has ended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn session(
        &self,
        cookie: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<Session>, QueueError> {
        let signing = self.secret().await?;
        let Some(secret) = signed(signing, cookie) else { return Ok(None) };
        let found: Option<Stored> = sqlx::query_as(
                "SELECT k.name, k.prefix, k.role, s.csrf, s.expires_at
                 FROM session s LEFT JOIN api_key k ON k.id = s.key_id
                 WHERE s.hash = $1 AND s.expires_at > $2
                   AND CASE WHEN s.key_id IS NULL THEN s.bootstrap = $3
                            ELSE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2) END",
            )
            .bind(digest(secret).as_slice())
            .bind(now)
            .bind(mac(signing, &self.admin).as_slice())
            .fetch_optional(&self.pool)
            .await?;
        let Some(Stored { name, prefix, role, csrf, expires_at }) = found else { return Ok(None) };
        let actor = match (name, prefix, role) {
            (Some(name), Some(prefix), Some(role)) => Actor {
                name: format!("{name} ({prefix}…)"),
                role: role.parse().map_err(QueueError::Corrupt)?,
            },
            _ => Actor { name: "admin key".into(), role: Role::Admin },
        };
        Ok(Some(Session { actor, csrf, expires_at }))
    }

    /// Ends the session of a cookie.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sign_out(&self, cookie: &str) -> Result<(), QueueError> {
        if let Some(secret) = signed(self.secret().await?, cookie) {
            sqlx::query("DELETE FROM session WHERE hash = $1")
                .bind(digest(secret).as_slice())
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

fn signature(signing: &[u8; 32], secret: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(mac(signing, secret.as_bytes()))
}

/// Returns the secret of a cookie if its signature is valid. A forged cookie thus costs no database
/// query.
fn signed<'a>(signing: &[u8; 32], cookie: &'a str) -> Option<&'a str> {
    let (secret, given) = cookie.split_once('.')?;
    let ours = signature(signing, secret);
    bool::from(ours.as_bytes().ct_eq(given.as_bytes())).then_some(secret)
}

impl Session {
    /// Whether `given` is the CSRF token of this session.
    #[must_use]
    pub fn csrf_ok(&self, given: &str) -> bool {
        self.csrf.as_bytes().ct_eq(given.as_bytes()).into()
    }
}
