//! Notifications from other processes: something may be due, or settings were stored.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::queue::QueueError;
use crate::queue::intake::notify::{Heard, Listener};

/// How often workers check for due rows without notifications.
const LOOK: Duration = Duration::from_secs(1);
/// How long to wait after a database failure: the first wait and the longest one.
const REST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The tasks that notifications are passed on to.
#[derive(Debug, Default)]
pub(super) struct Notifications {
    /// Settings were stored.
    pub(super) settings: Arc<Notify>,
}

impl Notifications {
    /// Receives notifications on one connection and passes them on, until shutdown.
    pub(super) async fn listen(&self, pool: &PgPool, due: &Notify, shutdown: &CancellationToken) {
        let mut rest = REST.0;
        while !shutdown.is_cancelled() {
            let heard = async {
                let mut listener = Listener::connect(pool).await?;
                rest = REST.0;
                // Notifications sent while nobody listened are lost, so everything is checked once.
                self.tell(Heard::Lost, due);
                loop {
                    self.tell(listener.heard().await?, due);
                }
            };
            let lost: Result<(), QueueError> = tokio::select! {
                lost = heard => lost,
                () = shutdown.cancelled() => return,
            };
            if let Err(error) = lost {
                tracing::warn!(error = %error, "notifications are lost for now; workers poll");
            }
            pause(rest, shutdown).await;
            rest = (rest * 2).min(REST.1);
        }
    }

    /// Where no notifications are available: has the workers check every second, until shutdown.
    pub(super) async fn look(&self, due: &Notify, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            due.notify_one();
            pause(LOOK, shutdown).await;
        }
    }

    fn tell(&self, heard: Heard, due: &Notify) {
        if heard != Heard::Settings {
            due.notify_one();
        }
        if heard != Heard::Due {
            self.settings.notify_one();
        }
    }
}

async fn pause(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.cancelled() => {}
    }
}
