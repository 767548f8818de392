//! Totals without counting rows: every statement stores a difference, and the totals are their
//! sums.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

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

/// The rows that ended within one span of time.
#[derive(Debug, Clone, PartialEq)]
pub struct PulsePoint {
    /// The start of the span.
    pub at: DateTime<Utc>,
    /// The object kind.
    pub sync_type: String,
    /// The number of rows that were synced.
    pub synced: i64,
    /// The number of rows that failed.
    pub failed: i64,
    /// The median time from acceptance to the end of synced rows, in milliseconds. It is accurate
    /// to a tenth.
    pub p50_ms: Option<f64>,
    /// The 95th percentile of the same time.
    pub p95_ms: Option<f64>,
}

/// The rows that ended within a span: synced rows by bucket, and failed rows.
#[derive(Default)]
struct Span {
    synced: BTreeMap<i16, i64>,
    failed: i64,
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

/// Differences are folded only when there are at least this many.
const MANY: i64 = 200;
/// How far back the charts go.
const KEPT: TimeDelta = TimeDelta::days(8);
/// Spans of ten seconds become minutes after a quarter of an hour, and quarters of an hour after
/// three hours.
const FOLDS: [(TimeDelta, &str); 2] =
    [(TimeDelta::minutes(15), "1 minute"), (TimeDelta::hours(3), "15 minutes")];

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

    /// Returns what ended since `since`, in spans of length `span` and by object kind, oldest
    /// first. Empty spans are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pulse(
        &self,
        since: DateTime<Utc>,
        span: TimeDelta,
    ) -> Result<Vec<PulsePoint>, QueueError> {
        let found: Vec<(DateTime<Utc>, String, String, i16, i64)> = sqlx::query_as(
            "SELECT date_bin($2 * interval '1 second', at, 'epoch'), sync_type, outcome, bucket,
                    sum(rows)::bigint
             FROM pulse WHERE portal = $3 AND at >= $1 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4",
        )
        .bind(since)
        .bind(span.num_seconds().max(10) as f64)
        .bind(self.portal())
        .fetch_all(&self.pool)
        .await?;
        let mut spans: BTreeMap<(DateTime<Utc>, String), Span> = BTreeMap::new();
        for (at, sync_type, outcome, bucket, rows) in found {
            let ended = spans.entry((at, sync_type)).or_default();
            if outcome == "synced" {
                *ended.synced.entry(bucket).or_default() += rows;
            } else {
                ended.failed += rows;
            }
        }
        Ok(spans
            .into_iter()
            .map(|((at, sync_type), ended)| PulsePoint {
                at,
                sync_type,
                synced: ended.synced.values().sum(),
                failed: ended.failed,
                p50_ms: percentile(&ended.synced, 0.50),
                p95_ms: percentile(&ended.synced, 0.95),
            })
            .collect())
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

    /// Folds the differences of all portals, and deletes data that is older than the charts show.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn fold_totals(&self, now: DateTime<Utc>) -> Result<(), QueueError> {
        // Differences that another process is folding are skipped. It computes its own sums.
        sqlx::query(
            "WITH old AS (
                 SELECT no FROM tally WHERE (SELECT count(*) FROM tally) > $1
                 ORDER BY no LIMIT 50000 FOR UPDATE SKIP LOCKED),
             gone AS (
                 DELETE FROM tally t USING old WHERE t.no = old.no
                 RETURNING t.portal, t.sync_type, t.status, t.rows, t.last_at)
             INSERT INTO tally (portal, sync_type, status, rows, last_at)
             SELECT portal, sync_type, status, sum(rows), max(last_at) FROM gone GROUP BY 1, 2, 3",
        )
        .bind(MANY)
        .execute(&self.pool)
        .await?;
        for ((age, span), fold) in FOLDS.into_iter().zip(1_i16..) {
            sqlx::query(
                "WITH old AS (
                     SELECT no FROM pulse WHERE fold < $3 AND fold < 2 AND at < $1
                     LIMIT 20000 FOR UPDATE SKIP LOCKED),
                 gone AS (
                     DELETE FROM pulse p USING old WHERE p.no = old.no
                     RETURNING date_bin($2::interval, p.at, 'epoch') AS span, p.portal,
                               p.sync_type, p.outcome, p.bucket, p.rows)
                 INSERT INTO pulse (portal, at, sync_type, outcome, bucket, rows, fold)
                 SELECT portal, span, sync_type, outcome, bucket, sum(rows), $3 FROM gone
                 GROUP BY 1, 2, 3, 4, 5",
            )
            .bind(now - age)
            .bind(span)
            .bind(fold)
            .execute(&self.pool)
            .await?;
        }
        sqlx::query(
            "DELETE FROM pulse WHERE portal IN (SELECT portal FROM crm_portal) AND at < $1",
        )
        .bind(now - KEPT)
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}

/// The time below which the fraction `part` of all rows lies: the middle of its bucket, in
/// milliseconds.
fn percentile(buckets: &BTreeMap<i16, i64>, part: f64) -> Option<f64> {
    let total: i64 = buckets.values().sum();
    let wanted = (total as f64 * part).ceil().max(1.0);
    let mut seen = 0;
    for (bucket, rows) in buckets {
        seen += rows;
        if seen as f64 >= wanted {
            return Some((f64::from(*bucket) / 4.0).exp2());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_read_from_the_buckets() {
        let buckets = BTreeMap::from([(0, 50), (40, 45), (48, 5)]);
        assert_eq!(percentile(&buckets, 0.50), Some(1.0));
        assert_eq!(percentile(&buckets, 0.95), Some(1024.0));
        assert_eq!(percentile(&buckets, 0.96), Some(4096.0));
        assert_eq!(percentile(&BTreeMap::new(), 0.5), None);
    }
}
