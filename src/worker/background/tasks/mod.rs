//! The background tasks of a process that sends, in the order in which people see them.

mod account;
mod definitions;
mod records;
mod retention;
mod totals;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{RunsOn, Task};
use crate::queue::Queue;
use crate::worker::Worker;
use crate::worker::pool::Settings;

/// The period of tasks that other work waits for.
const SECOND: Duration = Duration::from_secs(1);
/// The period of tasks that nothing waits for.
const TEN_SECONDS: Duration = Duration::from_secs(10);
/// The period of tasks that delete what is old.
const TEN_MINUTES: Duration = Duration::from_secs(600);
/// The period of the account check, once the account is known.
const HOUR: Duration = Duration::from_secs(3_600);
/// The wait between two account checks until HubSpot has answered.
const UNANSWERED: Duration = Duration::from_secs(10);

/// How far a process has come with its start.
#[derive(Debug, Clone, Default)]
pub(in crate::worker) struct Start {
    /// HubSpot has said which account the token belongs to.
    pub(in crate::worker) known: CancellationToken,
    /// The account's definitions have been requested. Workers wait for this.
    pub(in crate::worker) ready: CancellationToken,
}

/// Returns the tasks. A task that learns that something may be due notifies `wake`.
pub(in crate::worker) fn registered(
    queue: &Queue,
    settings: &Settings,
    wake: &Arc<Notify>,
    start: &Start,
    worker: impl Fn() -> Worker,
) -> Vec<Task> {
    use RunsOn::{Everywhere, Leader};
    let (queue, wake) = (|| queue.clone(), || Arc::clone(wake));
    let known = Arc::new(Notify::new());
    let mut tasks = vec![
        Task::new(
            "account",
            (
                "Checks that the access token belongs to the linked HubSpot account",
                "A token of another account is not noticed. Before the first check, nothing is \
                 sent",
            ),
            HOUR,
            Everywhere,
            account::Check { worker: worker(), start: start.clone(), checked: Arc::clone(&known) },
        ),
        Task::new(
            "definitions",
            (
                "Reads HubSpot's property definitions again when they are old or doubtful",
                "Values are checked against older definitions, or not at all",
            ),
            SECOND,
            Everywhere,
            definitions::Refresh::new(worker(), start.clone()),
        )
        .woken_by(&known),
        Task::new(
            "leases",
            (
                "Takes back the leases of workers that stopped, and lets workers look for records \
                 whose time has come",
                "Records of a stopped worker are not sent again, and retries may be seconds late",
            ),
            SECOND,
            Everywhere,
            records::Leases { queue: queue(), wake: wake() },
        ),
        Task::new(
            "links",
            (
                "Makes records due that waited for the record at the other end of an association",
                "Associations may wait although both records exist in HubSpot",
            ),
            SECOND,
            Everywhere,
            records::Links { queue: queue(), wake: wake() },
        ),
        Task::new(
            "stranded",
            (
                "Looks for rows that no worker would ever take, and makes their records due",
                "Nothing, unless hubferry has a bug: then such rows wait",
            ),
            SECOND,
            Everywhere,
            records::Stranded { queue: queue(), wake: wake() },
        ),
        Task::new(
            "gates",
            (
                "Removes gates whose time is over",
                "Nothing is held up: a gate whose time is over does not count",
            ),
            SECOND,
            Everywhere,
            totals::Gates { queue: queue() },
        ),
        Task::new(
            "totals",
            (
                "Adds up the counters behind the totals and the charts",
                "Totals stay exact, but reading them becomes slower",
            ),
            SECOND,
            Everywhere,
            totals::Totals { queue: queue() },
        ),
        Task::new(
            "erasures",
            (
                "Empties events of erased records once no other record has to be sent from them",
                "Data of erased records stays in events that changed other records too",
            ),
            TEN_SECONDS,
            Leader,
            retention::Erasures { queue: queue() },
        ),
        Task::new(
            "call_log",
            (
                "Deletes calls from the log that are older than worker.keep_calls_days",
                "The log of calls grows",
            ),
            TEN_MINUTES,
            Leader,
            retention::Calls { queue: queue(), keep: settings.keep_calls },
        ),
        Task::new(
            "audit_log",
            (
                "Deletes lines of the audit that are older than worker.keep_audit_days",
                "Lines of the audit are kept for longer than they should be",
            ),
            TEN_MINUTES,
            Leader,
            retention::Audit { queue: queue(), keep: settings.keep_audit },
        ),
    ];
    tasks.extend(settings.keep_done.map(|keep| {
        Task::new(
            "retention",
            (
                "Deletes rows that were done more than worker.keep_done_days ago, and their events",
                "Rows and events are kept for longer than they should be",
            ),
            TEN_MINUTES,
            Leader,
            retention::Rows { queue: queue(), keep, behind: 0 },
        )
    }));
    tasks
}
