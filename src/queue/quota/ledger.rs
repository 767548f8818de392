//! The ledger of HubSpot's rate limit. It is also the call log.
//!
//! A call holds its place in the window from its reservation until its reply plus the window's
//! length. HubSpot counts a call when it arrives, which is between reservation and reply. Take all
//! calls that arrive in one window: when the last of them was reserved, all the others still held
//! their places. So there are never more calls in a window than the limit. All replicas share the
//! ledger. The places of a process that was killed expire by themselves.

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::doubt::begin;
use crate::queue::quota::day::day_of;
use crate::queue::{Queue, QueueError};

/// The limits that a reservation must not exceed.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most calls in any window.
    pub per_window: i64,
    /// The window's length.
    pub window: TimeDelta,
    /// The most calls a day.
    pub per_day: i64,
    /// The longest time from a reservation to the end of its call.
    pub longest: TimeDelta,
    /// Whether a larger limit in HubSpot's headers is used. A smaller one always is.
    pub grows: bool,
}

impl Limits {
    /// Returns `ours`, corrected by what HubSpot's headers say.
    fn corrected(self, ours: i64, learned: Option<i32>) -> i64 {
        match learned.map(i64::from) {
            Some(learned) if self.grows || learned < ours => learned,
            _ => ours,
        }
    }
}

/// What HubSpot's headers say about the quota.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The window's limit, and how many calls are left.
    pub window: Option<(i32, i32)>,
    /// The daily limit, and how many calls are left.
    pub day: Option<(i32, i32)>,
}

/// A place in the window. It must end with [`Queue::replied`] or [`Queue::cancel`]. If its process
/// dies, it expires by itself.
#[derive(Debug)]
pub struct Place {
    /// The id of the call.
    pub call: i64,
    /// No call may be sent on this place after this instant.
    pub void_at: DateTime<Utc>,
    /// The used fraction of the daily quota, 0 to 1.
    pub day_used: f64,
    /// When it was reserved.
    pub reserved_at: DateTime<Utc>,
    /// When the account's day ends.
    pub day_ends: DateTime<Utc>,
    /// How many more places are free in the window.
    pub left: i64,
    /// The time until the next place becomes free, at the latest.
    pub next: TimeDelta,
}

/// The result of asking for a place.
#[derive(Debug)]
pub enum Reserved {
    /// A place was reserved.
    Place(Place),
    /// The window is full. A place may be free after this time.
    Full(TimeDelta),
    /// The daily quota is spent.
    Spent {
        /// When this was seen.
        now: DateTime<Utc>,
        /// When the account's day ends and a new quota starts.
        until: DateTime<Utc>,
    },
}

/// How a call ended.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// What the call was for, such as `upsert contacts`.
    pub purpose: String,
    /// The object kind, if the call has one.
    pub sync_type: Option<String>,
    /// The number of inputs in the call's body.
    pub inputs: i32,
    /// The time from sending the call to its reply, in milliseconds.
    pub duration_ms: i32,
    /// The HTTP status, if there was a reply.
    pub http_status: Option<i32>,
    /// `ok` or the class of the failure.
    pub class: String,
    /// The failure's message, without personal data.
    pub message: Option<String>,
    /// HubSpot's id of the call.
    pub correlation_id: Option<String>,
}

#[derive(sqlx::FromRow)]
struct Portal {
    now: DateTime<Utc>,
    time_zone: String,
    day_started_at: DateTime<Utc>,
    day_used: i32,
    window_limit: Option<i32>,
    day_limit: Option<i32>,
    others_used: i32,
    others_until: DateTime<Utc>,
}

impl Queue {
    /// Reserves a place in the window and in the account's day. The day is computed from the time
    /// zone that is stored at this moment, so that all replicas count in the same day.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn reserve(&self, limits: &Limits, holder: &str) -> Result<Reserved, QueueError> {
        let mut tx = begin(&self.pool).await?;
        // The lock is taken in its own statement: the next statement must see everything that was
        // committed before the lock was granted.
        let portal: Portal = sqlx::query_as(
            "SELECT clock_timestamp() + $2 * interval '1 microsecond' AS now,
                    time_zone, day_started_at, day_used, window_limit, day_limit, others_used, others_until
             FROM crm_portal WHERE portal = $1 FOR NO KEY UPDATE",
        )
        .bind(self.portal())
        .bind(self.ahead().num_microseconds().unwrap_or(0))
        .fetch_one(&mut *tx)
        .await?;
        let now = portal.now;
        let (today, day_ends) = day_of(now, &portal.time_zone);
        let day_used = if portal.day_started_at >= today { portal.day_used } else { 0 };
        let per_day = limits.corrected(limits.per_day, portal.day_limit).max(1);
        if i64::from(day_used) >= per_day {
            return Ok(Reserved::Spent { now, until: day_ends });
        }
        let others = if portal.others_until > now { portal.others_used } else { 0 };
        let per_window =
            limits.corrected(limits.per_window, portal.window_limit) - i64::from(others);
        // The clock is read again after the lock was granted. So places that ended during the wait
        // are not counted, and all others are.
        let reserved: Option<(i64, DateTime<Utc>, i64, DateTime<Utc>)> = sqlx::query_as(
            "WITH clock AS (SELECT clock_timestamp() + $2 * interval '1 microsecond' AS now),
             held AS MATERIALIZED (
                 SELECT count(*) AS places, min(c.free_at) AS next
                 FROM hubspot_call c, clock WHERE c.portal = $1 AND c.free_at > clock.now)
             INSERT INTO hubspot_call (portal, holder, reserved_at, free_at)
             SELECT $1, $3, clock.now, clock.now + $4 * interval '1 microsecond' FROM clock, held
             WHERE held.places < $5
             RETURNING id, reserved_at, $5 - 1 - (SELECT places FROM held),
                       LEAST(free_at, (SELECT next FROM held))",
        )
        .bind(self.portal())
        .bind(self.ahead().num_microseconds().unwrap_or(0))
        .bind(holder)
        .bind((limits.longest + limits.window).num_microseconds().unwrap_or(i64::MAX))
        .bind(per_window.max(1))
        .fetch_optional(&mut *tx)
        .await?;
        let Some((call, reserved_at, left, next)) = reserved else {
            let next: Option<DateTime<Utc>> = sqlx::query_scalar(
                "SELECT free_at FROM hubspot_call WHERE portal = $1 AND free_at > $2
                 ORDER BY free_at LIMIT 1",
            )
            .bind(self.portal())
            .bind(now)
            .fetch_optional(&mut *tx)
            .await?;
            return Ok(Reserved::Full(next.map_or(TimeDelta::zero(), |next| next - now)));
        };
        sqlx::query("UPDATE crm_portal SET day_started_at = $2, day_used = $3 WHERE portal = $1")
            .bind(self.portal())
            .bind(today)
            .bind(day_used + 1)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        let day_used = f64::from(day_used + 1) / per_day as f64;
        let (void_at, next) = (reserved_at + limits.longest, next - reserved_at);
        Ok(Reserved::Place(Place { call, void_at, day_used, reserved_at, day_ends, left, next }))
    }

    /// Stores what HubSpot's headers say: a limit other than the configured one, and the calls of
    /// other integrations. Calls that HubSpot counts beyond our own places belong to others, for
    /// one window.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn(&self, seen: Seen, window: TimeDelta) -> Result<(), QueueError> {
        let (limit, left) = seen.window.unzip();
        let (day, day_left) = seen.day.unzip();
        sqlx::query(
            "WITH clock AS (SELECT clock_timestamp() + $2 * interval '1 microsecond' AS now),
             news AS (
                 SELECT GREATEST($3 - $4 - (SELECT count(*) FROM hubspot_call c, clock
                                            WHERE c.portal = $1 AND c.free_at > clock.now), 0)::int AS others,
                        -- A late reply may still count the day before.
                        (SELECT $5 - $6 FROM crm_portal o, clock
                         WHERE o.portal = $1 AND o.day_started_at < clock.now - interval '2 minutes') AS day_used)
             UPDATE crm_portal p
             SET window_limit = COALESCE($3, p.window_limit), day_limit = COALESCE($5, p.day_limit),
                 others_used = COALESCE(news.others, 0),
                 others_until = CASE WHEN news.others > 0 THEN clock.now + $7 * interval '1 microsecond'
                                     ELSE p.others_until END,
                 day_used = GREATEST(p.day_used, news.day_used)
             FROM news, clock
             WHERE p.portal = $1
               AND (p.window_limit IS DISTINCT FROM COALESCE($3, p.window_limit)
                    OR p.day_limit IS DISTINCT FROM COALESCE($5, p.day_limit)
                    OR news.others > 0 OR news.day_used > p.day_used)",
        )
        .bind(self.portal())
        .bind(self.ahead().num_microseconds().unwrap_or(0))
        .bind(limit)
        .bind(left)
        .bind(day)
        .bind(day_left)
        .bind(window.num_microseconds().unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Gives back a place on which no call was sent.
    ///
    /// # Errors
    /// When the database fails. The place then expires by itself.
    pub async fn cancel(&self, place: Place) -> Result<(), QueueError> {
        sqlx::query(
            "WITH gone AS (DELETE FROM hubspot_call WHERE id = $2)
             UPDATE crm_portal SET day_used = GREATEST(day_used - 1, 0) WHERE portal = $1",
        )
        .bind(self.portal())
        .bind(place.call)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Stores the end of a call. Its place is free one `window` from now.
    ///
    /// # Errors
    /// When the database fails. The place then expires by itself, later.
    pub async fn replied(
        &self,
        place: Place,
        window: TimeDelta,
        reply: &Reply,
    ) -> Result<i64, QueueError> {
        sqlx::query(
            "UPDATE hubspot_call
             SET free_at = clock_timestamp() + $2 * interval '1 microsecond' + $3 * interval '1 microsecond',
                 replied_at = clock_timestamp() + $2 * interval '1 microsecond',
                 purpose = $4, sync_type = $5, inputs = $6, duration_ms = $7, http_status = $8,
                 class = $9, message = $10, correlation_id = $11
             WHERE id = $1",
        )
        .bind(place.call)
        .bind(self.ahead().num_microseconds().unwrap_or(0))
        .bind(window.num_microseconds().unwrap_or(i64::MAX))
        .bind(&reply.purpose)
        .bind(&reply.sync_type)
        .bind(reply.inputs)
        .bind(reply.duration_ms)
        .bind(reply.http_status)
        .bind(&reply.class)
        .bind(&reply.message)
        .bind(&reply.correlation_id)
        .execute(&self.pool)
        .await?;
        Ok(place.call)
    }
}
