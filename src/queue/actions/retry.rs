//! A person's actions on failed rows: retry one, retry many, discard.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::queue::audit;
use crate::queue::delivery::refresh::{lock_records_of, refresh};
use crate::queue::doubt::begin;
use crate::queue::intake::notify::notify;
use crate::queue::model::{Status, head_start, priority_of};
use crate::queue::views::filter::{Depth, RowFilter, narrow};
use crate::queue::{Queue, QueueError};

/// One transaction retries at most this many rows.
const ROWS_PER_TRANSACTION: i64 = 1_000;
/// The audit lists at most this many of the rows that were named one by one.
const TOLD: usize = 20;

/// The result of an action on one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneRow {
    /// The action was done.
    Done,
    /// There is no such row.
    Unknown,
    /// The row is not failed, so there is nothing to do.
    NotFailed,
    /// The row's subject was erased, so there is nothing to retry.
    Erased,
}

impl Queue {
    /// Retries one failed row. A discarded row is restored first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retry_one(
        &self,
        row: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<OneRow, QueueError> {
        let filter = RowFilter { ids: Some(vec![row]), ..RowFilter::default() };
        if self.retry_failed(&filter, actor, now).await? > 0
            || self.put_back(row, actor, now).await?
        {
            return Ok(OneRow::Done);
        }
        self.untouched(row).await
    }

    /// Retries the failed rows that match `filter`, and returns how many. Their retry counts start
    /// again at zero, and their records are due at once. Discarded rows are left alone.
    ///
    /// # Errors
    /// When the database fails. Rows that were retried before that stay retried.
    pub async fn retry_failed(
        &self,
        filter: &RowFilter,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, QueueError> {
        // Only rows that are failed now: a row that fails again meanwhile is not retried twice.
        let top = self.newest_failed().await?;
        let (mut after, mut retried) = (0, 0);
        while let Some(last) = self.retry_some(filter, (after, top), actor, now).await? {
            (after, retried) = (last.0, retried + last.1);
            self.cursors.joined();
        }
        Ok(retried)
    }

    /// Retries the next rows after `after`, up to `top`. Returns the last row and how many there
    /// were. The same transaction writes the audit line.
    async fn retry_some(
        &self,
        filter: &RowFilter,
        part: (i64, i64),
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<Option<(i64, u64)>, QueueError> {
        let mut tx = begin(&self.pool).await?;
        let filter = RowFilter { retryable: true, ..filter.clone() };
        let found: Vec<(i64, i16)> = failed(self.portal(), "id, priority", &filter, part)
            .build_query_as()
            .fetch_all(&mut *tx)
            .await?;
        let Some(&(last, ..)) = found.last() else { return Ok(None) };
        let retried = reopen(&mut tx, &found, now).await?;
        filter.audit(&mut tx, self.portal(), "retry", retried, actor, now).await?;
        notify(&mut tx).await?;
        tx.commit().await?;
        Ok(Some((last, retried)))
    }

    pub(super) async fn newest_failed(&self) -> Result<i64, QueueError> {
        let top: Option<i64> = sqlx::query_scalar(
            "SELECT max(id) FROM sync_queue
             WHERE portal = $1 AND status = 'failed' AND discarded_at IS NULL",
        )
        .bind(self.portal())
        .fetch_one(&self.pool)
        .await?;
        Ok(top.unwrap_or(0))
    }

    /// Why an action did not change a row.
    pub(super) async fn untouched(&self, row: i64) -> Result<OneRow, QueueError> {
        let stands: Option<bool> = sqlx::query_scalar(
            "SELECT erased AND kept = 'failed' AND discarded_at IS NULL
             FROM sync_queue_view WHERE id = $1 AND portal = $2",
        )
        .bind(row)
        .bind(self.portal())
        .fetch_optional(&self.pool)
        .await?;
        Ok(match stands {
            None => OneRow::Unknown,
            Some(true) => OneRow::Erased,
            Some(false) => OneRow::NotFailed,
        })
    }
}

impl RowFilter {
    /// The fields that are set, for the audit. A search may contain an address and is left out.
    fn told(&self) -> serde_json::Value {
        json!({ "sync_type": self.sync_type, "event_type": self.event_type,
                "external_id": self.external_id.as_ref().map(|_| "one"),
                "error_code": self.error_code, "error_property": self.error_property,
                "priority": self.priority, "since": self.since, "until": self.until,
                "ids": self.ids.as_ref().map(|ids| &ids[..ids.len().min(TOLD)]),
                "search": self.search.as_ref().map(|_| "words") })
    }

    /// Writes the audit line of an action on `rows` rows, in the action's transaction.
    pub(super) async fn audit(
        &self,
        db: &mut PgConnection,
        portal: &str,
        action: &str,
        rows: u64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        if rows == 0 {
            return Ok(());
        }
        let details = json!({ "rows": rows, "filter": self.told() });
        let target = self.only().map(|row| row.to_string());
        audit::record(db, portal, now, actor, action, target.as_deref(), details).await
    }

    /// The row, if the filter names only one.
    fn only(&self) -> Option<i64> {
        match self.ids.as_deref() {
            Some([one]) => Some(*one),
            _ => None,
        }
    }
}

/// Selects the next failed rows after `after`, up to `top`, that an action may change.
pub(super) fn failed(
    portal: &str,
    columns: &str,
    filter: &RowFilter,
    (after, top): (i64, i64),
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT ");
    query.push(columns).push(" FROM sync_queue_view WHERE true");
    let failed = RowFilter { status: Some(Status::Failed), ..filter.clone() };
    narrow(&mut query, portal, &failed, Depth::Whole);
    query.push(" AND id > ").push_bind(after);
    query.push(" AND id <= ").push_bind(top);
    query.push(" ORDER BY id LIMIT ").push_bind(ROWS_PER_TRANSACTION);
    query
}

/// Reopens failed rows. Their records must be locked.
pub(in crate::queue) async fn reopen(
    db: &mut PgConnection,
    found: &[(i64, i16)],
    now: DateTime<Utc>,
) -> Result<u64, QueueError> {
    let (rows, ranks): (Vec<i64>, Vec<DateTime<Utc>>) =
        found.iter().map(|&(id, p)| (id, now - head_start(priority_of(p)))).unzip();
    let records = lock_records_of(db, &rows).await?;
    let retried = sqlx::query(
        "UPDATE sync_queue q
         SET status = 'pending', written = false, retry_count = 0, processed_at = NULL, rank = v.rank,
             retried_at = $3,
             error_code = NULL, error_property = NULL, error_message = NULL, error_hint = NULL,
             error_correlation_id = NULL, error_http_status = NULL
         FROM UNNEST($1::bigint[], $2::timestamptz[]) AS v (id, rank)
         WHERE q.id = v.id AND q.status = 'failed' AND q.discarded_at IS NULL",
    )
    .bind(&rows)
    .bind(ranks)
    .bind(now)
    .execute(&mut *db)
    .await?
    .rows_affected();
    sqlx::query("UPDATE crm_association SET refused = false WHERE record_id = ANY($1) AND refused")
        .bind(&records)
        .execute(&mut *db)
        .await?;
    // A person asked for the retry: it starts now, from the first step of the backoff. HubSpot may
    // accept now what it refused before.
    sqlx::query(
        "UPDATE crm_record SET failures = 0, backoff_until = NULL, waiting_until = NULL,
             lookup = NULLIF(lookup, 'key_not_found')
         WHERE id = ANY($1)",
    )
    .bind(&records)
    .execute(&mut *db)
    .await?;
    refresh(db, &records, now).await?;
    Ok(retried)
}
