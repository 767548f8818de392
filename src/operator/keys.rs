//! API keys: the list, making one, and revoking one.

use chrono::{DateTime, TimeDelta, Utc};

use super::bounds::KEY_DAYS;
use super::views::{Actor, KeyView, Role};
use super::{Operator, OperatorError};
use crate::access::{NewKey, RefusedKey};

/// When a new key expires.
#[derive(Debug, Clone, Copy)]
pub enum Expiry {
    /// Never.
    Never,
    /// After this many days.
    InDays(i64),
    /// At this time.
    At(DateTime<Utc>),
}

impl Operator {
    /// Returns the stored keys, newest first, and the database's time, which decides their state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self) -> Result<(Vec<KeyView>, DateTime<Utc>), OperatorError> {
        let now = self.queue.now().await?;
        Ok((self.access.keys().await?, now))
    }

    /// Makes a key and returns it with its text, which cannot be shown again, and the time.
    ///
    /// # Errors
    /// When the name or the expiry is invalid, or the database fails.
    pub async fn make_key(
        &self,
        name: &str,
        role: Role,
        expiry: Expiry,
        actor: &Actor,
    ) -> Result<(KeyView, String, DateTime<Utc>), OperatorError> {
        let now = self.queue.now().await?;
        let invalid = |text: String| Err(OperatorError::Request(text));
        let expires_at = match expiry {
            Expiry::Never => None,
            Expiry::InDays(days) if (1..=KEY_DAYS).contains(&days) => {
                Some(now + TimeDelta::days(days))
            }
            Expiry::InDays(_) => {
                return invalid(format!("expires_in_days: must be between 1 and {KEY_DAYS}"));
            }
            Expiry::At(at) if at <= now => {
                return invalid("expires: must be in the future".into());
            }
            Expiry::At(at) if at > now + TimeDelta::days(KEY_DAYS) => {
                return invalid(format!("expires: must be within {KEY_DAYS} days"));
            }
            Expiry::At(at) => Some(at),
        };
        let new = NewKey { name: name.to_owned(), role, expires_at };
        match self.access.make_key(&new, &actor.name, now).await {
            Ok((view, text)) => Ok((view, text, now)),
            Err(RefusedKey::Invalid(reason)) => invalid(reason.to_owned()),
            Err(RefusedKey::Queue(error)) => Err(error.into()),
        }
    }

    /// Revokes a key immediately and permanently, and ends the sessions made with it.
    ///
    /// # Errors
    /// When there is no such key, it was revoked before, or the database fails.
    pub async fn revoke_key(&self, id: &str, actor: &Actor) -> Result<(), OperatorError> {
        let id: i64 = id.parse().map_err(|_| OperatorError::UnknownKey)?;
        let now = self.queue.now().await?;
        if self.access.revoke_key(id, &actor.name, now).await? {
            return Ok(());
        }
        Err(OperatorError::UnknownKey)
    }
}
