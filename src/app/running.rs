//! The tasks of the process, by name, so that a shutdown can say which of them did not end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The running tasks. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Running {
    tracker: TaskTracker,
    /// How many tasks of each name run.
    names: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Cancelled when a task panicked.
    failed: CancellationToken,
}

/// Removes the name of a task when the task ends.
struct Entry {
    name: String,
    running: Running,
}

impl Running {
    pub(super) fn new() -> Self {
        let (tracker, failed) = (TaskTracker::new(), CancellationToken::new());
        Self { tracker, names: Arc::default(), failed }
    }

    /// Runs `task` until shutdown. A panic of the task ends the process.
    pub(super) fn spawn(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let failed = self.failed.clone();
        self.spawn_apart(name, async move {
            let guard = failed.drop_guard();
            task.await;
            guard.disarm();
        });
    }

    /// Runs `task`, such as one of many connections. A panic ends only the task itself.
    pub(super) fn spawn_apart(
        &self,
        name: impl Into<String>,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let entry = Entry { name: name.into(), running: self.clone() };
        *self.lock().entry(entry.name.clone()).or_default() += 1;
        self.tracker.spawn(async move {
            let _entry = entry;
            task.await;
        });
    }

    /// Completes when a task panicked.
    pub(super) async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Waits for the end of all tasks, for at most `longest`.
    ///
    /// # Errors
    /// Names the tasks that did not end.
    pub(super) async fn end(&self, longest: Duration) -> Result<(), String> {
        self.tracker.close();
        let ended = tokio::time::timeout(longest, self.tracker.wait()).await;
        ended.map_err(|_| self.unfinished())
    }

    fn unfinished(&self) -> String {
        let names = self.lock();
        let name = |(name, count): (&String, &usize)| match count {
            1 => name.clone(),
            _ => format!("{name} ({count} times)"),
        };
        names.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut names = self.running.lock();
        let left = names.get(&self.name).map_or(0, |count| count - 1);
        if left == 0 {
            names.remove(&self.name);
        } else {
            names.insert(self.name.clone(), left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tasks_that_do_not_end_are_named() {
        let running = Running::new();
        let (tell, told) = tokio::sync::oneshot::channel::<()>();
        running.spawn("worker 1", async {});
        running.spawn("worker 2", async { told.await.unwrap() });
        for _ in 0..2 {
            running.spawn_apart("connection of a client", std::future::pending());
        }
        let unfinished = running.end(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(unfinished, "connection of a client (2 times), worker 2");
        tell.send(()).unwrap();
        let unfinished = running.end(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(unfinished, "connection of a client (2 times)");
    }
}
