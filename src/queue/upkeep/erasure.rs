//! Empties the events of erased records: at once, or when other records have been sent from them.
//!
//! An event can change several records. If one of them is erased while another has not been sent
//! yet, the event keeps its data until the other row ends (see `delivery::settle::gone`).

use std::sync::atomic::Ordering;

use sqlx::PgConnection;

use crate::queue::{Queue, QueueError};

/// One step considers at most this many events.
const STEP: i64 = 500;

impl Queue {
    /// Considers the next events that wait to be emptied, and empties those that no open row needs
    /// any more. Returns how many. Each call continues after the previous one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn empty_erased_events(&self) -> Result<usize, QueueError> {
        // Usually there are none, and this is the only statement.
        let any: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM event_erasure)")
            .fetch_one(&self.pool)
            .await?;
        if !any {
            return Ok(0);
        }
        let mut tx = self.begin().await?;
        let after = self.erasures.load(Ordering::SeqCst);
        let waiting: Vec<(i64, Option<Vec<i64>>, bool)> = sqlx::query_as(
            "SELECT x.event_no, e.row_ids, EXISTS (
                 SELECT 1 FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
                 WHERE q.id = ANY(e.row_ids) AND q.status IN ('pending', 'retry')
                   AND NOT q.written AND (r.erased_at IS NULL OR q.subject_id IS NOT NULL))
             FROM event_erasure x LEFT JOIN event e ON e.no = x.event_no
             WHERE x.event_no > $1 ORDER BY x.event_no LIMIT $2",
        )
        .bind(after)
        .bind(STEP)
        .fetch_all(&mut *tx)
        .await?;
        let next = match waiting.last() {
            Some(&(last, ..)) if waiting.len() as i64 == STEP => last,
            _ => 0,
        };
        self.erasures.store(next, Ordering::SeqCst);
        let free: Vec<_> = waiting.into_iter().filter(|(.., needed)| !needed).collect();
        if free.is_empty() {
            return Ok(0);
        }
        let events: Vec<i64> = free.iter().map(|(event, ..)| *event).collect();
        empty(&mut tx, &events).await?;
        clear(
            &mut tx,
            &free.into_iter().filter_map(|(_, rows, _)| rows).flatten().collect::<Vec<_>>(),
        )
        .await?;
        sqlx::query("DELETE FROM event_erasure WHERE event_no = ANY($1)")
            .bind(&events)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(events.len())
    }
}

/// Empties events. Without its hash, an event that is sent again is a duplicate, whatever its body.
pub(in crate::queue) async fn empty(
    db: &mut PgConnection,
    events: &[i64],
) -> Result<(), QueueError> {
    sqlx::query("UPDATE event SET data = NULL, hash = NULL, subject = '' WHERE no = ANY($1)")
        .bind(events)
        .execute(db)
        .await?;
    Ok(())
}

/// Removes what rows tell of their event.
pub(in crate::queue) async fn clear(db: &mut PgConnection, rows: &[i64]) -> Result<(), QueueError> {
    sqlx::query("UPDATE attempt SET message = 'erased' WHERE row_id = ANY($1)")
        .bind(rows)
        .execute(&mut *db)
        .await?;
    sqlx::query("DELETE FROM row_email WHERE row_id = ANY($1)")
        .bind(rows)
        .execute(&mut *db)
        .await?;
    sqlx::query(
        "UPDATE sync_queue SET warnings = NULL,
                error_message = CASE WHEN error_code IS NOT NULL THEN 'erased' END
         WHERE id = ANY($1)",
    )
    .bind(rows)
    .execute(db)
    .await?;
    Ok(())
}
