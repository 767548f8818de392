//! The process: what `serve` starts, and how it shuts down.
//!
//! This is the only place that owns tasks. A task that panics ends the process. A shutdown stops
//! accepting connections, lets running work finish within the grace period, and closes the
//! connection pool.

mod crowd;
pub(crate) mod database;
mod door;
mod listen;
mod stall;

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
use tokio_util::task::TaskTracker;

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
use crate::worker::{Worker, pool};
pub(crate) use database::SESSION;
use database::ears;
pub use database::{connect_options, open_queue};
use door::Patience;
use listen::Ears;

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
    tracker: TaskTracker,
    shutdown: CancellationToken,
    /// Cancelled when the process is no longer ready.
    draining: CancellationToken,
    drain: Duration,
    failed: CancellationToken,
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
            tracker: TaskTracker::new(),
            shutdown,
            draining,
            drain: Duration::from_secs(config.server.drain_seconds),
            failed: CancellationToken::new(),
            grace: Duration::from_secs(config.server.grace_seconds),
        };
        for lane in lanes {
            app.spawn(lane);
        }
        app.spawn(telemetry::keep_up(metrics, telemetry::UPKEEP, app.shutdown.clone()));
        app.start_listening(ears(config, &queue)?, &live, &wake);
        if role != Role::Api {
            if !live.now().values.enabled {
                tracing::warn!("worker.enabled is false: events are accepted and wait");
            }
            // Without a token, hubferry cannot send anything and sending cannot be switched on.
            if let Ok(settings) = config.hubspot() {
                let client = Client::new(settings)?;
                app.start_workers(config, &portal, client, &wake);
            }
        }
        let router = match role {
            Role::All | Role::Api => http::router(state),
            Role::Worker => http::health_router(state),
        };
        let (stop, tracker) = (app.shutdown.clone(), app.tracker.clone());
        let patience = Patience {
            head: Duration::from_secs(config.server.head_seconds),
            stall: Duration::from_secs(config.server.stall_seconds),
            grace: app.grace,
        };
        app.spawn(async move { door::serve(listener, router, patience, &tracker, &stop).await });
        Ok(app)
    }

    fn start_listening(&self, pool: Option<PgPool>, live: &Live, wake: &Arc<Notify>) {
        let ears = Arc::new(Ears::default());
        let (wake, hearing, stop) = (Arc::clone(wake), Arc::clone(&ears), self.shutdown.clone());
        self.spawn(async move {
            match pool {
                Some(pool) => hearing.listen(&pool, &wake, &stop).await,
                None => hearing.look(&wake, &stop).await,
            }
        });
        let (live, stop) = (live.clone(), self.shutdown.clone());
        self.spawn(async move { ears.follow(&live, &stop).await });
    }

    fn start_workers(&self, config: &Config, portal: &Portal, client: Client, wake: &Arc<Notify>) {
        let (queue, fixed) = (&portal.queue, config.fixed());
        let holder =
            format!("{}-{}", std::process::id(), &uuid::Uuid::new_v4().simple().to_string()[..8]);
        let permits = Permits::new(
            queue.clone(),
            client.clone(),
            portal.settings.clone(),
            fixed.learn_limits,
            &holder,
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
            let name = format!("{holder}/{number}");
            Worker::new(portal.clone(), connection.clone(), fixed.clone(), name)
        };
        let tasks = pool::tasks(queue, &settings, wake, &self.shutdown, worker);
        for task in tasks {
            self.spawn(task);
        }
    }

    /// Runs `task` until shutdown. A panic of the task ends the process.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let failed = self.failed.clone();
        let guarded = async move {
            let guard = failed.drop_guard();
            task.await;
            guard.disarm();
        };
        self.tracker.spawn(guarded);
    }

    /// Waits for `stop` or the end of a task, and then shuts down in order. First the process only
    /// reports that it is not ready, so that a load balancer sends no more requests.
    ///
    /// # Errors
    /// When a task died, or work was unfinished after the grace period.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> Result<()> {
        let died = tokio::select! {
            () = stop => false,
            () = self.failed.cancelled() => true,
        };
        self.draining.cancel();
        if !died && !self.drain.is_zero() {
            tracing::info!(pause_s = self.drain.as_secs(), "not ready any more");
            tokio::select! {
                () = tokio::time::sleep(self.drain) => {}
                () = self.failed.cancelled() => {}
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
        self.tracker.close();
        let drained = tokio::time::timeout(self.grace, self.tracker.wait()).await;
        // Closing the pool waits for connections in use, so it has a short timeout.
        let closed = async { tokio::join!(self.queue.pool().close(), self.looks.pool().close()) };
        let _ = tokio::time::timeout(Duration::from_secs(2), closed).await;
        if drained.is_err() {
            bail!(
                "the grace of {} s was not enough; what is leased is taken back by itself",
                self.grace.as_secs()
            );
        }
        tracing::info!("shut down");
        Ok(())
    }
}
