//! Stores the settings that people changed. Other modules know what they mean and validate them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};
use sqlx::types::Json;

use crate::queue::audit::{self, SERVICE};
use crate::queue::doubt::begin;
use crate::queue::intake::notify::notify_settings;
use crate::queue::{Queue, QueueError};

/// A stored setting.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    /// Dotted, as in config/default.toml.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// When it was changed.
    pub changed_at: DateTime<Utc>,
    /// Who changed it.
    pub changed_by: String,
}

impl Queue {
    /// Returns the stored settings that apply to the portal, ordered by key: its own, and the
    /// service's where it has none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn stored_settings(&self) -> Result<Vec<Stored>, QueueError> {
        let rows: Vec<(String, Json<Value>, DateTime<Utc>, String)> = sqlx::query_as(
            "SELECT DISTINCT ON (key) key, value, changed_at, changed_by FROM setting
                 WHERE portal IN ($1, $2) ORDER BY key, portal DESC",
        )
        .bind(SERVICE)
        .bind(self.portal())
        .fetch_all(&self.pool)
        .await?;
        let stored = |(key, Json(value), changed_at, changed_by)| Stored {
            key,
            value,
            changed_at,
            changed_by,
        };
        Ok(rows.into_iter().map(stored).collect())
    }

    /// Stores `changes` for the whole service, with one audit line. A `None` removes the stored value. Settings that
    /// already have the value are left alone. `unset` contains the values that apply where none is
    /// stored, for the audit.
    ///
    /// # Errors
    /// When the database fails. Nothing is changed then.
    pub async fn store_settings(
        &self,
        changes: &BTreeMap<String, Option<Value>>,
        unset: &Map<String, Value>,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        // One change at a time, so that the audit shows the value that each change replaced.
        sqlx::query("LOCK TABLE setting IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        let stored: Vec<(String, Json<Value>)> =
            sqlx::query_as("SELECT key, value FROM setting WHERE portal = $1")
                .bind(SERVICE)
                .fetch_all(&mut *tx)
                .await?;
        let stored: BTreeMap<String, Value> =
            stored.into_iter().map(|(key, Json(value))| (key, value)).collect();
        let news: Vec<(&String, &Option<Value>)> =
            changes.iter().filter(|(key, value)| stored.get(*key) != value.as_ref()).collect();
        if news.is_empty() {
            return Ok(());
        }
        let usual = |key: &String| unset.get(key).cloned().unwrap_or(Value::Null);
        let mut details = Map::new();
        let (mut keys, mut values, mut removed) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in news {
            let from = stored.get(key).cloned().unwrap_or_else(|| usual(key));
            let to = value.clone().unwrap_or_else(|| usual(key));
            details.insert(key.clone(), json!({ "from": from, "to": to }));
            match value {
                Some(value) => {
                    keys.push(key);
                    values.push(Json(value));
                }
                None => removed.push(key),
            }
        }
        sqlx::query(
            "INSERT INTO setting (portal, key, value, changed_at, changed_by)
             SELECT $5, key, value, $3, $4 FROM UNNEST($1::text[], $2::jsonb[]) AS s (key, value)
             ON CONFLICT (portal, key) DO UPDATE SET value = excluded.value,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by",
        )
        .bind(&keys)
        .bind(&values)
        .bind(now)
        .bind(actor)
        .bind(SERVICE)
        .execute(&mut *tx)
        .await?;
        sqlx::query("DELETE FROM setting WHERE portal = $2 AND key = ANY($1)")
            .bind(&removed)
            .bind(SERVICE)
            .execute(&mut *tx)
            .await?;
        audit::record(&mut tx, SERVICE, now, actor, "settings", None, Value::Object(details))
            .await?;
        notify_settings(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}
