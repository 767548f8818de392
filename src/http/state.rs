//! What all handlers share.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::events::body::Room;
use super::events::parser::Parser;
use super::events::rate::Rate;
use super::problem::Problem;
use crate::access::Access;
use crate::mapping::Mapping;
use crate::operator::Operator;
use crate::queue::Queue;
use crate::queue::intake::Intake;

/// The longest wait for a turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The settings for accepting events.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// The source of events that do not name one.
    pub default_source: String,
    /// How far an event's time may lie ahead of the database's clock.
    pub max_ahead: TimeDelta,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// The most events in a body.
    pub max_events: usize,
}

/// The state that handlers share. It is cheap to clone, because every layer clones it for every
/// request.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Shared>);

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl From<Shared> for AppState {
    fn from(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

/// The parts of [`AppState`].
#[derive(Debug)]
pub struct Shared {
    /// Every verb and read of people and of the admin API.
    pub operator: Operator,
    /// The queue for events, keys and readiness. They must not wait for the queries of people, which
    /// have separate connections.
    pub queue: Queue,
    /// Accepts events for storage.
    pub intake: Intake,
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Checks keys and sessions.
    pub access: Access,
    /// Limits how many requests under `/admin` use the database at a time: one for each connection
    /// for queries.
    pub turns: Arc<Semaphore>,
    /// Cancelled when the process is about to stop. It is then not ready any more, but still serves
    /// requests.
    pub draining: CancellationToken,
    /// Whether browsers use https.
    pub is_https: bool,
    /// The settings for accepting events.
    pub ingest: Arc<IngestSettings>,
    /// The memory for request bodies.
    pub room: Room,
    /// The thread that parses large bodies.
    pub parser: Parser,
    /// The rate limit for events of a key.
    pub rate: Rate,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

impl AppState {
    /// Waits for a database turn for a request under `/admin`, and fails if that takes too long.
    pub(in crate::http) async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        match tokio::time::timeout(LONGEST_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too many requests read the database at this moment; try again in a few seconds",
            )),
        }
    }
}
