//! Access control: keys with roles, sessions of the dashboard, and a rate limit on wrong keys.
//!
//! A key is 256 random bits, of which only the SHA-256 is stored. The same holds for a session's
//! cookie, which is also signed. Nothing that is stored can be used to sign in.

pub mod keys;
mod session;
mod throttle;

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use subtle::ConstantTimeEq;
use tokio::sync::OnceCell;

use crate::queue::{Queue, QueueError};
pub use keys::{KeyView, NewKey, RefusedKey};
pub use session::{Session, SignIn};
use throttle::Throttle;

/// What a key may do. Each role may do what the roles before it may, except for `ingest`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// May send events and read their status, nothing else.
    Ingest,
    /// May read everything except payloads.
    Viewer,
    /// May also retry, discard, resync, pause and resume, and read payloads.
    Operator,
    /// May also change settings and keys, and send events.
    Admin,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Viewer, Self::Operator, Self::Admin];

    /// The name of the role in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether this role includes the rights of `needed`.
    #[must_use]
    pub fn may(self, needed: Self) -> bool {
        let rank = |role| match role {
            Self::Ingest => 0,
            Self::Viewer => 1,
            Self::Operator => 2,
            Self::Admin => 3,
        };
        match (self, needed) {
            (Self::Ingest | Self::Admin, Self::Ingest) => true,
            (Self::Ingest, _) | (_, Self::Ingest) => false,
            _ => rank(self) >= rank(needed),
        }
    }
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or_else(|| format!("`{text}` is no role: use ingest, viewer, operator or admin"))
    }
}

/// Who performs an action, as shown in the audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `admin key`, or the key's name and prefix.
    pub name: String,
    /// The role of the key.
    pub role: Role,
}

/// The result of checking a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The key is valid and belongs to this actor.
    For(Actor),
    /// The key is unknown, expired or revoked.
    Nothing,
    /// The key was not checked: this address has sent too many wrong keys.
    Braked {
        /// How long to wait before the next attempt.
        retry_after: Duration,
    },
}

/// The longest wait after wrong Bearer keys from one address. It is short, because a program that
/// gets the right key after a wrong one should not have to wait long.
const LONGEST_BRAKE: TimeDelta = TimeDelta::minutes(1);

/// Checks keys and sessions and limits wrong attempts. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    pool: PgPool,
    ingest: [u8; 32],
    admin: [u8; 32],
    /// Signs cookies. The database draws it, so that all replicas have the same one. It does not
    /// depend on a key of the settings, because anybody with a cookie could then test guesses
    /// against it.
    secret: Arc<OnceCell<[u8; 32]>>,
    /// Limits wrong attempts to sign in.
    throttle: Arc<Throttle>,
    /// Limits wrong keys of programs. Its clock needs no database.
    guesses: Arc<Throttle>,
    started: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// Checks access for `queue`'s database, with the two keys of the settings.
    #[must_use]
    pub fn new(queue: &Queue, ingest: &str, admin: &str) -> Self {
        Self {
            pool: queue.pool().clone(),
            ingest: digest(ingest),
            admin: digest(admin),
            secret: Arc::default(),
            throttle: Arc::default(),
            guesses: Arc::new(Throttle::up_to(LONGEST_BRAKE)),
            started: Instant::now(),
        }
    }

    /// The clock for the limit on wrong keys.
    fn clock(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.started.elapsed()
    }

    /// Returns the secret that signs cookies.
    async fn secret(&self) -> Result<&[u8; 32], QueueError> {
        let draw = async || {
            let text: String = sqlx::query_scalar("SELECT secret FROM session_secret")
                .fetch_one(&self.pool)
                .await?;
            Ok(digest(&text))
        };
        self.secret.get_or_try_init(draw).await
    }

    /// Returns the actor if this is a key of the settings. Both keys are always compared, so that
    /// the time taken tells nothing.
    fn configured(&self, given: &[u8; 32]) -> Option<Actor> {
        let admin = bool::from(given.ct_eq(&self.admin));
        let ingest = bool::from(given.ct_eq(&self.ingest));
        let actor = |name: &str, role| Some(Actor { name: name.into(), role });
        match (admin, ingest) {
            (true, _) => actor("admin key", Role::Admin),
            (_, true) => actor("ingest key", Role::Ingest),
            _ => None,
        }
    }
}

/// Computes SHA-256.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // HMAC accepts a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// Returns 256 random bits as text that needs no quoting.
fn random() -> String {
    use base64::Engine as _;
    let bytes: [u8; 32] = rand::random();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_opens_its_own_doors() {
        let may = |role: Role| Role::ALL.map(|needed| role.may(needed));
        assert_eq!(may(Role::Ingest), [true, false, false, false]);
        assert_eq!(may(Role::Viewer), [false, true, false, false]);
        assert_eq!(may(Role::Operator), [false, true, true, false]);
        assert_eq!(may(Role::Admin), [true, true, true, true]);
    }
}
