//! The HubSpot account that the links were made in, remembered.

use chrono::{DateTime, Utc};

use crate::queue::doubt::begin;
use crate::queue::quota::day::day_of;
use crate::queue::{PORTAL, Queue, QueueError};

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
    /// Calls of the account's day that it is now.
    pub day_used: i32,
    /// When that day began; `None` before the first call.
    pub day_started_at: Option<DateTime<Utc>>,
}

/// What the day is computed from.
#[derive(sqlx::FromRow)]
struct Zone {
    now: DateTime<Utc>,
    hubspot_portal_id: Option<i64>,
    time_zone: String,
}

impl Queue {
    /// What is remembered.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self) -> Result<Account, QueueError> {
        let account: Account = sqlx::query_as(
            "SELECT hubspot_portal_id, time_zone, window_limit, day_limit, day_used,
                    NULLIF(day_started_at, 'epoch') AS day_started_at
             FROM crm_portal WHERE portal = $1",
        )
        .bind(PORTAL)
        .fetch_one(&self.pool)
        .await?;
        let today = day_of(self.about_now().await?, &account.time_zone).0;
        Ok(match account.day_started_at {
            // The first call of the new day has not been made yet.
            Some(counted) if counted < today => {
                Account { day_used: 0, day_started_at: Some(today), ..account }
            }
            _ => account,
        })
    }

    /// When the account's day of `now` ends: its quota starts anew then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn day_ends(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, QueueError> {
        let zone: String = sqlx::query_scalar("SELECT time_zone FROM crm_portal WHERE portal = $1")
            .bind(PORTAL)
            .fetch_one(&self.pool)
            .await?;
        Ok(day_of(now, &zone).1)
    }

    /// Remembers the account at the first connection and says which one is remembered. Where its
    /// time zone is another than was thought, what was counted counts for the day that it is now in
    /// the new one: rather twice than not at all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remember_account(&self, id: i64, time_zone: &str) -> Result<i64, QueueError> {
        let mut tx = begin(&self.pool).await?;
        // The ledger's lock: nobody counts a call by the old zone meanwhile.
        let known: Zone = sqlx::query_as(
            "SELECT clock_timestamp() + $2 * interval '1 microsecond' AS now, hubspot_portal_id, time_zone
             FROM crm_portal WHERE portal = $1 FOR NO KEY UPDATE",
        )
        .bind(PORTAL)
        .bind(self.ahead().num_microseconds().unwrap_or(0))
        .fetch_one(&mut *tx)
        .await?;
        let remembered = known.hubspot_portal_id.unwrap_or(id);
        if remembered != id || (known.hubspot_portal_id.is_some() && known.time_zone == time_zone) {
            return Ok(remembered);
        }
        let today = (known.time_zone != time_zone).then(|| day_of(known.now, time_zone).0);
        sqlx::query(
            "UPDATE crm_portal
             SET hubspot_portal_id = $2, time_zone = $3, day_started_at = GREATEST(day_started_at, $4)
             WHERE portal = $1",
        )
        .bind(PORTAL)
        .bind(id)
        .bind(time_zone)
        .bind(today)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(remembered)
    }
}
