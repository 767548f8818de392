//! Rows that ended, over time, stored as differences that are folded into longer spans as they age.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::{Queue, QueueError};

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

/// Differences are folded only when there are at least this many.
const MANY: i64 = 200;
/// How far back the charts go.
const KEPT: TimeDelta = TimeDelta::days(8);
/// Spans of ten seconds become minutes after a quarter of an hour, and quarters of an hour after
/// three hours.
const FOLDS: [(TimeDelta, &str); 2] =
    [(TimeDelta::minutes(15), "1 minute"), (TimeDelta::hours(3), "15 minutes")];

impl Queue {
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
