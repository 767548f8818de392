//! Stores the HubSpot account that the links belong to, so that a token of another account is
//! noticed.

use chrono::{DateTime, Utc};

use crate::queue::doubt::begin;
use crate::queue::quota::day::day_of;
use crate::queue::{Queue, QueueError};

/// What is stored about the HubSpot account.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Account {
    /// HubSpot's id of the account. `None` before the first connection.
    pub hubspot_portal_id: Option<i64>,
    /// The account's time zone, an IANA name. The daily quota ends at midnight in this zone.
    pub time_zone: String,
    /// The window's limit that HubSpot's headers named last.
    pub window_limit: Option<i32>,
    /// The daily limit that HubSpot's headers named last.
    pub day_limit: Option<i32>,
    /// The number of calls in the account's current day.
    pub day_used: i32,
    /// When that day began. `None` before the first call.
    pub day_started_at: Option<DateTime<Utc>>,
}

/// The values that the account's day is computed from.
#[derive(sqlx::FromRow)]
struct Zone {
    now: DateTime<Utc>,
    hubspot_portal_id: Option<i64>,
    time_zone: String,
}

impl Queue {
    /// Returns what is stored about the account.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn account(&self) -> Result<Account, QueueError> {
        let account: Account = sqlx::query_as(
            "SELECT hubspot_portal_id, time_zone, window_limit, day_limit, day_used,
                    NULLIF(day_started_at, 'epoch') AS day_started_at
             FROM crm_portal WHERE portal = $1",
        )
        .bind(self.portal())
        .fetch_one(&self.pool)
        .await?;
        let today = day_of(self.about_now().await?, &account.time_zone).0;
        Ok(match account.day_started_at {
            // No call has been made in the new day yet.
            Some(counted) if counted < today => {
                Account { day_used: 0, day_started_at: Some(today), ..account }
            }
            _ => account,
        })
    }

    /// Returns when the account's day of `now` ends. A new daily quota starts then.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn day_ends(&self, now: DateTime<Utc>) -> Result<DateTime<Utc>, QueueError> {
        let zone: String = sqlx::query_scalar("SELECT time_zone FROM crm_portal WHERE portal = $1")
            .bind(self.portal())
            .fetch_one(&self.pool)
            .await?;
        Ok(day_of(now, &zone).1)
    }

    /// Stores the account at the first connection, and returns the id of the stored account. If its
    /// time zone differs from the stored one, the calls counted so far count for the current day in
    /// the new zone. A call may then be counted twice, but none is missed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn remember_account(&self, id: i64, time_zone: &str) -> Result<i64, QueueError> {
        let mut tx = begin(&self.pool).await?;
        // The ledger's lock: no call is counted by the old zone meanwhile.
        let known: Zone = sqlx::query_as(
            "SELECT clock_timestamp() + $2 * interval '1 microsecond' AS now, hubspot_portal_id, time_zone
             FROM crm_portal WHERE portal = $1 FOR NO KEY UPDATE",
        )
        .bind(self.portal())
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
        .bind(self.portal())
        .bind(id)
        .bind(time_zone)
        .bind(today)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(remembered)
    }
}
