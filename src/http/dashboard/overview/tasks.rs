//! The background tasks on the overview page: one line for each task, whatever the number of
//! processes.

use chrono::{DateTime, TimeDelta, Utc};

use crate::http::dashboard::layout::page::Visitor;
use crate::http::dashboard::layout::when::{When, millis, span};
use crate::operator::views::TaskRow;

/// A task that has not run for this long after its time is late.
const LATE: TimeDelta = TimeDelta::minutes(2);

/// A task as people see it.
pub(in crate::http::dashboard) struct TaskLine {
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) description: String,
    pub(in crate::http::dashboard) impact: String,
    /// How often it runs, and where.
    pub(in crate::http::dashboard) period: String,
    pub(in crate::http::dashboard) last: Option<When>,
    pub(in crate::http::dashboard) took: String,
    pub(in crate::http::dashboard) result: String,
    pub(in crate::http::dashboard) next: When,
    /// The last error, where it failed.
    pub(in crate::http::dashboard) error: Option<String>,
    /// Whether it did not run at its time.
    pub(in crate::http::dashboard) late: bool,
}

impl TaskLine {
    /// Of the processes that run a task, the one that failed or has been silent longest is shown.
    pub(in crate::http::dashboard) fn all(tasks: &[TaskRow], visitor: &Visitor) -> Vec<Self> {
        let of_one = tasks.chunk_by(|one, next| one.name == next.name);
        of_one.filter_map(|rows| Self::of(rows, visitor)).collect()
    }

    fn of(rows: &[TaskRow], visitor: &Visitor) -> Option<Self> {
        let worst = rows.iter().min_by_key(|row| (row.last_error.is_none(), row.next_run_at))?;
        let failing = rows.iter().filter(|row| row.last_error.is_some()).count();
        let error = worst.last_error.as_ref().map(|error| match (rows.len(), failing) {
            (1, _) => error.clone(),
            (all, failing) => format!("{error} ({failing} of {all} processes)"),
        });
        let every = format!("every {}", span(TimeDelta::milliseconds(worst.period_ms)));
        let place = match (worst.everywhere, rows.len()) {
            (false, _) => "in one process at a time".to_owned(),
            (true, 1) => "in each process".to_owned(),
            (true, all) => format!("in each of {all} processes"),
        };
        Some(Self {
            name: worst.name.replace('_', " "),
            description: worst.description.clone(),
            impact: worst.impact.clone(),
            period: format!("{every}, {place}"),
            last: worst.last_run_at.map(|at| visitor.when(at)),
            took: worst.last_duration_ms.map(|ms| millis(ms.into())).unwrap_or_default(),
            result: worst.last_result.clone().unwrap_or_default(),
            next: visitor.when(worst.next_run_at),
            error,
            late: is_late(worst, visitor.now),
        })
    }
}

fn is_late(task: &TaskRow, now: DateTime<Utc>) -> bool {
    now - task.next_run_at > LATE
}

/// Says in a few words how the tasks are.
pub(in crate::http::dashboard) fn summary(tasks: &[TaskLine]) -> String {
    let failing = tasks.iter().filter(|task| task.error.is_some()).count();
    let late = tasks.iter().filter(|task| task.late && task.error.is_none()).count();
    match (failing, late) {
        (0, 0) => format!("{} tasks, all of them work", tasks.len()),
        (0, late) => format!("{} tasks, {late} late", tasks.len()),
        (failing, 0) => format!("{} tasks, {failing} failing", tasks.len()),
        (failing, late) => format!("{} tasks, {failing} failing, {late} late", tasks.len()),
    }
}
