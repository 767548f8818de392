//! Stores how the background tasks of all processes went, so that every process can show it.
//!
//! A task that runs in every process has a row for each process. A task that runs in one process at
//! a time has one row, and that row is also its lease.

use chrono::{DateTime, TimeDelta, Utc};

use crate::queue::{Queue, QueueError};

/// A process that has been silent for this long after the next run of its task is gone.
const GONE: TimeDelta = TimeDelta::minutes(10);
/// A run may begin this much before its time, because processes measure their waits themselves.
const EARLY: TimeDelta = TimeDelta::seconds(1);

/// What people need to know about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskInfo {
    /// The name, which stays the same.
    pub name: &'static str,
    /// What the task does, in a sentence.
    pub description: &'static str,
    /// What happens while the task fails, in a sentence.
    pub impact: &'static str,
    /// The time between two runs.
    pub period: TimeDelta,
    /// Whether the task runs in every process. Otherwise it runs in one process at a time.
    pub everywhere: bool,
}

impl TaskInfo {
    /// The process in the key of the task's row.
    fn key<'a>(&self, process: &'a str) -> &'a str {
        if self.everywhere { process } else { "" }
    }
}

/// One run of a task.
#[derive(Debug, Clone)]
pub struct TaskRun {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: TimeDelta,
    /// What it did, or why it failed.
    pub result: Result<String, String>,
    /// When the next run begins.
    pub next: DateTime<Utc>,
}

/// A background task and its last run.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct TaskRow {
    /// The name.
    pub name: String,
    /// What the task does.
    pub description: String,
    /// What happens while the task fails.
    pub impact: String,
    /// The time between two runs, in milliseconds.
    pub period_ms: i64,
    /// Whether the task runs in every process.
    pub everywhere: bool,
    /// The process that runs it, or ran it last.
    pub run_by: Option<String>,
    /// When the last run began.
    pub last_run_at: Option<DateTime<Utc>>,
    /// How long the last run took.
    pub last_duration_ms: Option<i32>,
    /// What the last run that succeeded did.
    pub last_result: Option<String>,
    /// Why the last run failed, if it did.
    pub last_error: Option<String>,
    /// When the next run begins.
    pub next_run_at: DateTime<Utc>,
}

impl Queue {
    /// Adds the row of a task that `process` will run, and removes the rows of processes that are
    /// gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn register_task(
        &self,
        task: &TaskInfo,
        process: &str,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        sqlx::query(
            "WITH gone AS (
                 DELETE FROM background_task
                 WHERE portal = $1 AND name = $2 AND process NOT IN ('', $3) AND next_run_at < $4
             )
             INSERT INTO background_task
                 (portal, name, process, description, impact, period_ms, next_run_at)
             VALUES ($1, $2, $3, $5, $6, $7, $8)
             ON CONFLICT ON CONSTRAINT background_task_pkey DO UPDATE
             SET description = excluded.description, impact = excluded.impact,
                 period_ms = excluded.period_ms",
        )
        .bind(self.portal())
        .bind(task.name)
        .bind(task.key(process))
        .bind(now - GONE)
        .bind(task.description)
        .bind(task.impact)
        .bind(task.period.num_milliseconds())
        .bind(now)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Leases a task that runs in one process at a time, until `until` at the latest. Returns
    /// whether it is this process's turn: the task is due, and no other process runs it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lease_task(
        &self,
        task: &TaskInfo,
        process: &str,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let leased = sqlx::query(
            "INSERT INTO background_task AS t
                 (portal, name, process, description, impact, period_ms, next_run_at, run_by,
                  leased_until)
             VALUES ($1, $2, '', $3, $4, $5, $6, $7, $8)
             ON CONFLICT ON CONSTRAINT background_task_pkey DO UPDATE
             SET run_by = excluded.run_by, leased_until = excluded.leased_until
             WHERE (t.leased_until IS NULL OR t.leased_until <= $6 OR t.run_by = excluded.run_by)
               AND t.next_run_at <= $9",
        )
        .bind(self.portal())
        .bind(task.name)
        .bind(task.description)
        .bind(task.impact)
        .bind(task.period.num_milliseconds())
        .bind(now)
        .bind(process)
        .bind(until)
        .bind(now + EARLY)
        .execute(&self.pool)
        .await?;
        Ok(leased.rows_affected() > 0)
    }

    /// Stores a run of a task, and ends its lease. A failure leaves the result of the last success.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn store_task_run(
        &self,
        task: &TaskInfo,
        process: &str,
        run: &TaskRun,
    ) -> Result<(), QueueError> {
        sqlx::query(
            "INSERT INTO background_task AS t
                 (portal, name, process, description, impact, period_ms, run_by, last_run_at,
                  last_duration_ms, last_result, last_error, next_run_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
             ON CONFLICT ON CONSTRAINT background_task_pkey DO UPDATE
             SET run_by = excluded.run_by, last_run_at = excluded.last_run_at,
                 last_duration_ms = excluded.last_duration_ms,
                 last_result = COALESCE(excluded.last_result, t.last_result),
                 last_error = excluded.last_error, next_run_at = excluded.next_run_at,
                 leased_until = NULL
             -- A process that lost its lease does not overwrite the run of the next one.
             WHERE t.leased_until IS NULL OR t.run_by = excluded.run_by",
        )
        .bind(self.portal())
        .bind(task.name)
        .bind(task.key(process))
        .bind(task.description)
        .bind(task.impact)
        .bind(task.period.num_milliseconds())
        .bind(process)
        .bind(run.at)
        .bind(i32::try_from(run.took.num_milliseconds()).unwrap_or(i32::MAX))
        .bind(run.result.as_ref().ok())
        .bind(run.result.as_ref().err())
        .bind(run.next)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Removes what `process` holds of a task at its shutdown: its row, or the lease of a run that
    /// was interrupted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leave_task(&self, task: &TaskInfo, process: &str) -> Result<(), QueueError> {
        let statement = if task.everywhere {
            "DELETE FROM background_task WHERE portal = $1 AND name = $2 AND process = $3"
        } else {
            "UPDATE background_task SET leased_until = NULL
             WHERE portal = $1 AND name = $2 AND process = '' AND run_by = $3
               AND leased_until IS NOT NULL"
        };
        sqlx::query(statement)
            .bind(self.portal())
            .bind(task.name)
            .bind(process)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Returns the background tasks of all processes by name, at most a thousand.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn background_tasks(&self, now: DateTime<Utc>) -> Result<Vec<TaskRow>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT name, description, impact, period_ms, process <> '' AS everywhere,
                    COALESCE(run_by, NULLIF(process, '')) AS run_by, last_run_at,
                    last_duration_ms, last_result, last_error, next_run_at
             FROM background_task
             WHERE portal = $1 AND (process = '' OR next_run_at >= $2)
             ORDER BY name, process LIMIT 1000",
        )
        .bind(self.portal())
        .bind(now - GONE)
        .fetch_all(&self.pool)
        .await?)
    }
}
