//! The background tasks that every process runs, whether it sends or not.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::Notify;

use crate::settings::Live;
use crate::worker::background::{Done, Job, RunsOn, Task, TaskError};

/// How often stored settings are read without a notification.
const POLL: Duration = Duration::from_secs(5);
/// How often the samples of histograms are sorted into their buckets.
pub(super) const SORT: Duration = Duration::from_secs(5);

struct Follow(Live);

impl Job for Follow {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        Box::pin(async {
            self.0.reload().await?;
            Ok(Done::new("the stored settings are in force"))
        })
    }
}

/// Applies stored settings, after each notification (`stored`) and every few seconds.
pub(super) fn follow_settings(live: &Live, stored: &Arc<Notify>) -> Task {
    let texts = (
        "Reads the settings that people have stored",
        "The settings in force stay: a change is not noticed by this process",
    );
    Task::new("settings", texts, POLL, RunsOn::Everywhere, Follow(live.clone())).woken_by(stored)
}

struct Sort(PrometheusHandle);

impl Job for Sort {
    fn run(&mut self) -> BoxFuture<'_, Result<Done, TaskError>> {
        self.0.run_upkeep();
        Box::pin(std::future::ready(Ok(Done::new("done"))))
    }
}

/// Sorts the samples of histograms into their buckets. Otherwise each sample would stay in memory
/// until somebody requests the metrics.
#[must_use]
pub fn sort_metrics(metrics: PrometheusHandle, every: Duration) -> Task {
    let texts = (
        "Sorts the samples of the metrics, so that they take little memory",
        "The process needs more memory until its metrics are read",
    );
    Task::new("metrics", texts, every, RunsOn::Everywhere, Sort(metrics))
}
