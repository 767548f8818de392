//! Discards failed rows.

use chrono::{DateTime, Utc};

use crate::queue::actions::retry::{OneRow, failed};
use crate::queue::doubt::begin;
use crate::queue::views::filter::RowFilter;
use crate::queue::{Queue, QueueError};

impl Queue {
    /// Discards a failed row permanently.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard(
        &self,
        row: i64,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<OneRow, QueueError> {
        let filter = RowFilter { ids: Some(vec![row]), ..RowFilter::default() };
        if self.discard_failed(&filter, actor, now).await? > 0 {
            return Ok(OneRow::Done);
        }
        self.untouched(row).await
    }

    /// Discards the failed rows that match `filter`, and returns how many.
    ///
    /// # Errors
    /// When the database fails. Rows that were discarded before that stay discarded.
    pub async fn discard_failed(
        &self,
        filter: &RowFilter,
        actor: &str,
        now: DateTime<Utc>,
    ) -> Result<u64, QueueError> {
        let top = self.newest_failed().await?;
        let (mut after, mut discarded) = (0, 0);
        loop {
            let mut tx = begin(&self.pool).await?;
            let found: Vec<(i64,)> = failed(self.portal(), "id", filter, (after, top))
                .build_query_as()
                .fetch_all(&mut *tx)
                .await?;
            let Some(&(last,)) = found.last() else { break };
            let ids: Vec<i64> = found.into_iter().map(|(id,)| id).collect();
            let done = sqlx::query(
                "UPDATE sync_queue SET discarded_at = $2
                 WHERE id = ANY($1) AND status = 'failed' AND discarded_at IS NULL",
            )
            .bind(&ids)
            .bind(now)
            .execute(&mut *tx)
            .await?
            .rows_affected();
            filter.audit(&mut tx, self.portal(), "discard", done, actor, now).await?;
            tx.commit().await?;
            (after, discarded) = (last, discarded + done);
        }
        Ok(discarded)
    }
}
