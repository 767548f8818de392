//! The background tasks in `GET /admin/sync/status`.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::operator::views::TaskRow;

/// A background task and its last run.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// The task's name.
    #[schema(example = "retention")]
    pub name: String,
    /// What it does.
    pub description: String,
    /// What happens while it fails.
    pub impact: String,
    /// The time between two runs.
    pub period_seconds: i64,
    /// `everywhere`: every process runs it and has an entry of its own. `leader`: one process at a
    /// time runs it.
    #[schema(example = "leader")]
    pub runs_on: &'static str,
    /// When the last run began. Of a task that runs every second, about one run in ten seconds is
    /// stored.
    pub last_run_at: Option<DateTime<Utc>>,
    /// How long the last run took.
    pub last_duration_ms: Option<i32>,
    /// What the last run that succeeded did.
    pub last_result: Option<String>,
    /// Why the last run failed; `null` if it did not.
    pub last_error: Option<String>,
    /// When the next run begins.
    pub next_run_at: DateTime<Utc>,
    /// The process that runs it, or ran it last.
    pub process: Option<String>,
}

impl From<TaskRow> for TaskView {
    fn from(task: TaskRow) -> Self {
        Self {
            name: task.name,
            description: task.description,
            impact: task.impact,
            period_seconds: task.period_ms / 1_000,
            runs_on: if task.everywhere { "everywhere" } else { "leader" },
            last_run_at: task.last_run_at,
            last_duration_ms: task.last_duration_ms,
            last_result: task.last_result,
            last_error: task.last_error,
            next_run_at: task.next_run_at,
            process: task.run_by,
        }
    }
}
