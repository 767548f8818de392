//! The process: what `serve` starts, and how it shuts down.
//!
//! This is the only place that owns tasks. A task that panics ends the process. A shutdown stops
//! accepting connections, lets running work finish within the grace period, and closes the
//! connection pool.

mod connections;
pub(crate) mod database;
mod door;
mod notifications;
mod running;
mod stall;
pub mod upkeep;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use sqlx::postgres::PgPool;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::config::Config;
use crate::http::events::body::Room;
use crate::http::events::parser::Parser;
use crate::http::events::rate::Rate;
use crate::http::{self, AppState, Shared};
use crate::hubspot::Client;
use crate::mapping::{Mapping, Vars};
use crate::operator::Operator;
use crate::portals::{Connection, Permits, Portal};
use crate::queue::Queue;
use crate::queue::intake::Intake;
use crate::settings::Live;
use crate::telemetry;
use crate::worker::background::{Driver, Task};
use crate::worker::{Worker, pool};
pub(crate) use database::SESSION;
use database::notification_pool;
pub use database::{connect_options, open_queue};
use door::Patience;
use notifications::Notifications;
use running::Running;

/// Which parts of the service a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The HTTP server and workers.
    All,
    /// Only the HTTP server.
    Api,
    /// Only workers, with health and metrics.
    Worker,
}

/// A running service.
#[derive(Debug)]
pub struct App {
    /// The address it listens on.
    pub address: SocketAddr,
    /// The queue it works on.
    pub queue: Queue,
    looks: Queue,
    running: Running,
    shutdown: CancellationToken,
    /// Cancelled when the process is no longer ready.
    draining: CancellationToken,
    drain: Duration,
    grace: Duration,
}

/// Loads the mapping that `config` names.
///
/// # Errors
/// Names the file and the key that is wrong.
pub fn mapping(config: &Config) -> Result<Mapping> {
    let vars = Vars { owner_id: config.hubspot.owner_id.clone() };
    Ok(match &config.mapping.dir {
        Some(dir) => Mapping::load(dir, &vars)?,
        None => Mapping::builtin(&vars)?,
    })
}

impl App {
    /// Starts the parts of `role` on `listener`.
    ///
    /// # Errors
    /// When a setting, the database or the mapping does not allow it.
    pub async fn start(
        config: &Config,
        role: Role,
        queue: Queue,
        listener: TcpListener,
    ) -> Result<Self> {
        let mapping = Arc::new(mapping(config)?);
        let (ingest, admin) = config.keys()?;
        let (shutdown, draining) = (CancellationToken::new(), CancellationToken::new());
        let live = Live::new(queue.clone(), config.base(&mapping, role != Role::Api)?);
        live.reload().await?;
        let portal = Portal::new(&queue, Arc::clone(&mapping), live.clone());
        let wake = Arc::new(Notify::new());
        let patience = Duration::from_secs(config.database.acquire_timeout_seconds);
        let (intake, lanes) = Intake::new(&queue, &wake, patience);
        let looks = database::looks(config, &queue);
        let turns = looks.pool().options().get_max_connections() as usize;
        let metrics = telemetry::start_metrics()?;
        let access = Access::new(&queue, ingest.expose_secret(), admin.expose_secret());
        // The queries of people have connections of their own.
        let portal_of_people = Portal { queue: looks.clone(), ..portal.clone() };
        let operator = Operator::new(portal_of_people, access.clone(), shutdown.clone());
        let state = AppState::from(Shared {
            operator,
            queue: queue.clone(),
            intake,
            mapping: Arc::clone(&mapping),
            access,
            turns: Arc::new(Semaphore::new(turns)),
            draining: draining.clone(),
            is_https: config.is_https(),
            room: Room::new(config.ingest.max_bodies_bytes),
            parser: Parser::start().context("a thread for large bodies")?,
            rate: Rate::per_minute(config.ingest.max_events_per_minute),
            ingest: Arc::new(config.ingest_settings()),
            metrics: metrics.clone(),
        });
        let app = Self {
            address: listener.local_addr()?,
            queue: queue.clone(),
            looks,
            running: Running::new(),
            shutdown,
            draining,
            drain: Duration::from_secs(config.server.drain_seconds),
            grace: Duration::from_secs(config.server.grace_seconds),
        };
        for (number, lane) in (1..).zip(lanes) {
            app.running.spawn(format!("intake lane {number}"), lane);
        }
        let process =
            format!("{}-{}", std::process::id(), &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let driver = Driver::new(&queue, &process, &app.shutdown);
        let notifications = Arc::new(Notifications::default());
        app.repeat(&driver, upkeep::follow_settings(&live, &notifications.settings));
        app.repeat(&driver, upkeep::sort_metrics(metrics, upkeep::SORT));
        app.listen(notification_pool(config, &queue)?, notifications, &wake);
        if role != Role::Api {
            if !live.now().values.enabled {
                tracing::warn!("worker.enabled is false: events are accepted and wait");
            }
            // Without a token, hubferry cannot send anything and sending cannot be switched on.
            if let Ok(settings) = config.hubspot() {
                let client = Client::new(settings)?;
                app.start_workers(config, &portal, client, (&process, &driver), &wake);
            }
        }
        let router = match role {
            Role::All | Role::Api => http::router(state),
            Role::Worker => http::health_router(state),
        };
        let (stop, running) = (app.shutdown.clone(), app.running.clone());
        let patience = Patience {
            head: Duration::from_secs(config.server.head_seconds),
            stall: Duration::from_secs(config.server.stall_seconds),
            grace: app.grace,
        };
        app.running.spawn("HTTP server", async move {
            door::serve(listener, router, patience, &running, &stop).await;
        });
        Ok(app)
    }

    /// Passes notifications of other processes on.
    fn listen(&self, pool: Option<PgPool>, notifications: Arc<Notifications>, wake: &Arc<Notify>) {
        let (wake, stop) = (Arc::clone(wake), self.shutdown.clone());
        self.running.spawn("notification listener", async move {
            match pool {
                Some(pool) => notifications.listen(&pool, &wake, &stop).await,
                None => notifications.look(&wake, &stop).await,
            }
        });
    }

    /// Runs a background task.
    fn repeat(&self, driver: &Driver, task: Task) {
        let name = format!("background task {}", task.name());
        self.running.spawn(name, driver.clone().drive(task));
    }

    fn start_workers(
        &self,
        config: &Config,
        portal: &Portal,
        client: Client,
        (process, driver): (&str, &Driver),
        wake: &Arc<Notify>,
    ) {
        let (queue, fixed) = (&portal.queue, config.fixed());
        let permits = Permits::new(
            queue.clone(),
            client.clone(),
            portal.settings.clone(),
            fixed.learn_limits,
            process,
            self.shutdown.clone(),
        );
        let settings = pool::Settings {
            workers: config.worker.count,
            keep_calls: TimeDelta::days(config.worker.keep_calls_days),
            keep_audit: TimeDelta::days(config.worker.keep_audit_days),
            keep_done: Some(config.worker.keep_done_days)
                .filter(|&days| days > 0)
                .map(TimeDelta::days),
        };
        let connection = Connection { client, permits };
        let worker = |number: usize| {
            let name = format!("{process}/{number}");
            Worker::new(portal.clone(), connection.clone(), fixed.clone(), name)
        };
        let ends = (driver, &self.shutdown);
        for (name, task) in pool::tasks(queue, &settings, wake, ends, worker) {
            self.running.spawn(name, task);
        }
    }

    /// Waits for `stop` or the end of a task, and then shuts down in order. First the process only
    /// reports that it is not ready, so that a load balancer sends no more requests.
    ///
    /// # Errors
    /// When a task died, or work was unfinished after the grace period.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let died = tokio::select! {
            () = stop => false,
            () = self.running.failed() => true,
        };
        self.draining.cancel();
        if !died && !self.drain.is_zero() {
            tracing::info!(pause_s = self.drain.as_secs(), "not ready any more");
            tokio::select! {
                () = tokio::time::sleep(self.drain) => {}
                () = self.running.failed() => {}
            }
        }
        self.stop().await?;
        if died {
            bail!("a task of the service died; its panic is in the log above");
        }
        Ok(())
    }

    /// Stops accepting and leasing, lets running work finish, and closes the pool.
    ///
    /// # Errors
    /// When the grace period was too short.
    pub async fn stop(self) -> Result<()> {
        tracing::info!("shutting down");
        self.shutdown.cancel();
        let drained = self.running.end(self.grace).await;
        // Closing the pool waits for connections in use, so it has a short timeout.
        let closed = async { tokio::join!(self.queue.pool().close(), self.looks.pool().close()) };
        let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
        if let Err(unfinished) = drained {
            bail!(
                "the shutdown was not finished after {} s (server.grace_seconds). Still running: \
                 {unfinished}. Their leases expire and are reclaimed",
                self.grace.as_secs()
            );
        }
        tracing::info!("shut down");
        Ok(())
    }
}
