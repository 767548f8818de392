//! Totals without counting rows: every statement stores a difference, and the totals are their
//! sums.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::queue::model::Status;
use crate::queue::{Queue, QueueError};

/// The number of rows of one kind with one status.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Count {
    /// The object kind.
    pub sync_type: String,
    /// The status.
    pub status: String,
    /// The number of rows.
    pub rows: i64,
}

/// When a record of an object kind was last synced.
#[derive(Debug, Clone)]
pub struct LastSync {
    /// The object kind.
    pub sync_type: String,
    /// The time of the last sync.
    pub last_synced_at: DateTime<Utc>,
}

/// Totals of the queue.
#[derive(Debug, Clone)]
pub struct Totals {
    /// The counts by object kind and status, without discarded rows.
    pub counts: Vec<Count>,
    /// When the row that has waited longest was accepted.
    pub oldest_waiting: Option<DateTime<Utc>>,
    /// The last sync of each object kind.
    pub last_sync: Vec<LastSync>,
    /// The number of rows that were synced in the last minute.
    pub synced_last_minute: i64,
    /// The number of places of the window that are taken.
    pub window_used: i64,
    /// The number of association slots that wait for their other end.
    pub parked_associations: i64,
}

/// The leases that one worker holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct LeaseView {
    /// The worker's name.
    pub holder: String,
    /// The object kind.
    pub sync_type: String,
    /// The number of records.
    pub records: i64,
    /// When the lease began.
    pub since: DateTime<Utc>,
    /// When the lease expires.
    pub until: DateTime<Utc>,
}

impl Queue {
    /// Counts the rows with a status and an object kind, where they are given. Without a status,
    /// discarded rows count too.
    pub(in crate::queue) async fn sum(
        &self,
        status: Option<Status>,
        sync_type: Option<&str>,
    ) -> Result<i64, QueueError> {
        let Some(status) = status else {
            let sum = "SELECT COALESCE(sum(rows), 0)::bigint FROM tally
                       WHERE portal = $2 AND ($1::text IS NULL OR sync_type = $1)";
            let sum = sqlx::query_scalar(sum).bind(sync_type).bind(self.portal());
            return Ok(sum.fetch_one(&self.pool).await?);
        };
        let counts = self.sums().await?.0.into_iter().filter(|count| {
            count.status == status.as_str() && sync_type.is_none_or(|kind| count.sync_type == kind)
        });
        Ok(counts.map(|count| count.rows).sum())
    }

    /// Returns the counts, and the last sync of each kind.
    async fn sums(&self) -> Result<(Vec<Count>, Vec<LastSync>), QueueError> {
        let sums: Vec<(String, String, i64, Option<DateTime<Utc>>)> = sqlx::query_as(
            "SELECT sync_type, status, sum(rows)::bigint, max(last_at) FROM tally
             WHERE portal = $1 GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .bind(self.portal())
        .fetch_all(&self.pool)
        .await?;
        // `processing` is not stored: it means open rows of leased records that existed at the
        // lease. The query uses the indexes that leave out rows that are done, however many rows a
        // record has had.
        let mut tx = self.begin().await?;
        let leased: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT r.sync_type, q.status, count(*) FROM (
                 SELECT id, portal, sync_type, leased_at FROM crm_record
                 WHERE lease_token IS NOT NULL ORDER BY lease_until LIMIT 100000) AS r
             CROSS JOIN LATERAL (
                 SELECT status, created_at FROM sync_queue
                 WHERE record_id = r.id AND status IN ('pending', 'retry') AND NOT written
                 UNION ALL
                 SELECT status, created_at FROM sync_queue
                 WHERE record_id = r.id AND status IN ('pending', 'retry') AND written) AS q
             WHERE r.portal = $1 AND q.created_at <= r.leased_at
             GROUP BY 1, 2",
        )
        .bind(self.portal())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        let mut counts: BTreeMap<(String, String), i64> = BTreeMap::new();
        let mut last_sync = Vec::new();
        for (sync_type, status, rows, last_at) in sums {
            if let ("synced", Some(last_synced_at)) = (status.as_str(), last_at) {
                last_sync.push(LastSync { sync_type: sync_type.clone(), last_synced_at });
            }
            if status != "discarded" {
                counts.insert((sync_type, status), rows);
            }
        }
        for (sync_type, status, rows) in leased {
            *counts.entry((sync_type.clone(), status)).or_default() -= rows;
            *counts.entry((sync_type, "processing".into())).or_default() += rows;
        }
        // Two snapshots may differ by rows that changed in between.
        let counts = counts
            .into_iter()
            .map(|((sync_type, status), rows)| Count { sync_type, status, rows: rows.max(0) })
            .filter(|count| count.rows > 0);
        Ok((counts.collect(), last_sync))
    }

    /// Returns the totals of the queue at `now`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn totals(&self, now: DateTime<Utc>) -> Result<Totals, QueueError> {
        let (counts, last_sync) = self.sums().await?;
        let (oldest_waiting, synced_last_minute, window_used, parked_associations) =
            sqlx::query_as(
                "SELECT (SELECT created_at FROM sync_queue
                         WHERE portal = $1 AND status IN ('pending', 'retry') ORDER BY id LIMIT 1),
                        (SELECT COALESCE(sum(rows), 0)::bigint FROM pulse
                         WHERE portal = $1 AND outcome = 'synced' AND at > $2::timestamptz - interval '1 minute'),
                        (SELECT count(*) FROM hubspot_call WHERE portal = $1 AND free_at > $2),
                        (SELECT count(*) FROM crm_association a JOIN crm_record t ON t.id = a.target_id
                         WHERE t.portal = $1 AND a.made_to IS NULL AND a.target_id IS NOT NULL AND t.hubspot_id IS NULL)",
            )
            .bind(self.portal())
            .bind(now)
            .fetch_one(&self.pool)
            .await?;
        Ok(Totals {
            counts,
            oldest_waiting,
            last_sync,
            synced_last_minute,
            window_used,
            parked_associations,
        })
    }

    /// Returns the leases that workers hold now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leases(&self) -> Result<Vec<LeaseView>, QueueError> {
        let mut tx = self.begin().await?;
        let leases = sqlx::query_as(
            "SELECT COALESCE(lease_holder, '') AS holder, sync_type, count(*) AS records,
                    min(leased_at) AS since, min(lease_until) AS until
             FROM (SELECT portal, lease_holder, sync_type, leased_at, lease_until FROM crm_record
                   WHERE lease_token IS NOT NULL ORDER BY lease_until LIMIT 100000) AS leased
             WHERE portal = $1 GROUP BY 1, 2 ORDER BY 1, 2 LIMIT 200",
        )
        .bind(self.portal())
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(leases)
    }
}
