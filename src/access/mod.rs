//! Who may come in: keys with roles, sessions of the dashboard, and a brake on guessing.
//!
//! A key is 256 random bits and is kept as its SHA-256; a session's cookie likewise, signed on top
//! of it. Nothing that is stored opens a door.

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

/// What a key may do; each role may what the ones before it may, `ingest` apart.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Send events and ask how far they are; nothing else.
    Ingest,
    /// Look at everything but payloads.
    Viewer,
    /// Also retry, discard, resync, pause and resume, and look at payloads.
    Operator,
    /// Also change settings and keys, and send events.
    Admin,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ingest, Self::Viewer, Self::Operator, Self::Admin];

    /// The word, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Whether this role may do what needs `needed`.
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

/// Who does something, as the audit names him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `admin key`, or the key's name and prefix.
    pub name: String,
    /// What he may do.
    pub role: Role,
}

/// What a key that somebody shows opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// What this actor may do.
    For(Actor),
    /// Nothing: it is nobody's, has expired or was revoked.
    Nothing,
    /// Not looked at: too many wrong keys came from there.
    Braked {
        /// Before this time has passed.
        retry_after: Duration,
    },
}

/// The longest wait after wrong Bearer keys from one address; a program that was given a wrong key
/// and then the right one should not have to wait for long.
const LONGEST_BRAKE: TimeDelta = TimeDelta::minutes(1);

/// The door: keys, sessions and the brake. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    pool: PgPool,
    ingest: [u8; 32],
    admin: [u8; 32],
    /// Signs cookies: drawn by the database, the same for all replicas. No key of the settings is
    /// in it, since whoever holds a cookie could try keys on it.
    secret: Arc<OnceCell<[u8; 32]>>,
    /// The brake on signing in.
    throttle: Arc<Throttle>,
    /// The brake on keys that programs send, with a clock that no database is asked for.
    guesses: Arc<Throttle>,
    started: Instant,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Access")
    }
}

impl Access {
    /// The door of `queue`'s database, with the two keys of the settings.
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

    /// The clock of the brake on keys.
    fn clock(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + self.started.elapsed()
    }

    /// What cookies are signed with.
    async fn secret(&self) -> Result<&[u8; 32], QueueError> {
        let draw = async || {
            let text: String = sqlx::query_scalar("SELECT secret FROM session_secret")
                .fetch_one(&self.pool)
                .await?;
            Ok(digest(&text))
        };
        self.secret.get_or_try_init(draw).await
    }

    /// The role of a key of the settings. Both are compared, whatever the first says.
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

/// SHA-256.
fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // Every length is a valid key of HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// 256 random bits as text that needs no quoting.
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
