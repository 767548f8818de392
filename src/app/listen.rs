//! Notifications from other processes: something may be due, or settings were stored.

use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::queue::QueueError;
use crate::queue::intake::notify::{Heard, Listener};
use crate::settings::Live;

/// How often workers check for due rows without notifications.
const LOOK: Duration = Duration::from_secs(1);
/// How often stored settings are read without a notification.
const POLL: Duration = Duration::from_secs(5);
/// The timeout for reading the settings.
const SILENCE: Duration = Duration::from_secs(20);
/// How long to wait after a database failure: the first wait and the longest one.
const REST: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// The tasks that notifications are passed on to.
#[derive(Debug, Default)]
pub(super) struct Ears {
    /// Settings were stored.
    pub(super) settings: Notify,
}

impl Ears {
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

    /// Applies stored settings, after each notification and every few seconds, until shutdown.
    pub(super) async fn follow(&self, live: &Live, shutdown: &CancellationToken) {
        while !shutdown.is_cancelled() {
            let reload = shutdown.run_until_cancelled(live.reload());
            match tokio::time::timeout(SILENCE, reload).await {
                Ok(None) => return,
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(error))) => {
                    tracing::warn!(error = %error, "stored settings could not be read; what was in force stays");
                }
                Err(_) => tracing::warn!("the database is silent; the settings in force stay"),
            }
            tokio::select! {
                () = self.settings.notified() => {}
                () = pause(POLL, shutdown) => {}
            }
        }
    }
}

async fn pause(time: Duration, shutdown: &CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = shutdown.cancelled() => {}
    }
}
