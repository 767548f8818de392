//! The HubSpot account that the links were made in, remembered.

use chrono::{DateTime, Utc};

use super::{PORTAL, Queue, QueueError};

/// What is remembered of the account.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Account {
    /// HubSpot's number of the account; `None` before the first connection.
    pub hubspot_portal_id: Option<i64>,
    /// Its time zone, an IANA name: the daily quota ends at its midnight.
    pub time_zone: String,
    /// The window's limit that HubSpot's headers named last.
    pub window_limit: Option<i32>,
    /// The day's limit that they named last.
    pub day_limit: Option<i32>,
    /// Calls of the day that began at `day_started_at`.
    pub day_used: i32,
    /// When that day began.
    pub day_started_at: Option<DateTime<Utc>>,
}

impl Queue {
    /// What is remembered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self) -> Result<Account, QueueError> {
        Ok(sqlx::query_as(
            "SELECT hubspot_portal_id, time_zone, window_limit, day_limit, day_used,
                    NULLIF(day_started_at, 'epoch') AS day_started_at
             FROM crm_portal WHERE portal = $1",
        )
        .bind(PORTAL)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Remembers the account at the first connection and says which one is remembered. Where its
    /// time zone is another than was thought, what was counted counts for the day that began at
    /// `day_started_at` in it: rather twice than not at all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remember_account(
        &self,
        id: i64,
        time_zone: &str,
        day_started_at: DateTime<Utc>,
    ) -> Result<i64, QueueError> {
        Ok(sqlx::query_scalar(
            "UPDATE crm_portal
             SET hubspot_portal_id = COALESCE(hubspot_portal_id, $2),
                 time_zone = CASE WHEN COALESCE(hubspot_portal_id, $2) = $2 THEN $3 ELSE time_zone END,
                 day_started_at = CASE WHEN COALESCE(hubspot_portal_id, $2) = $2 AND time_zone <> $3
                                       THEN GREATEST(day_started_at, $4) ELSE day_started_at END
             WHERE portal = $1 RETURNING hubspot_portal_id",
        )
        .bind(PORTAL)
        .bind(id)
        .bind(time_zone)
        .bind(day_started_at)
        .fetch_one(&self.pool)
        .await?)
    }
}
