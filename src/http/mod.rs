//! The HTTP API: events, the admin API and health. Handlers never call HubSpot.

pub mod admin;
mod admission;
pub mod auth;
pub mod body;
mod dashboard;
mod document;
pub mod event_status;
pub mod extract;
pub mod health;
pub mod ingest;
pub mod kept;
mod mend;
pub mod parse;
pub mod parser;
pub mod preview;
pub mod problem;
pub mod rate;
pub mod snapshot;
pub mod tail;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use chrono::TimeDelta;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};

use crate::access::Access;
use crate::mapping::Mapping;
use crate::portals::SharedDefinitions;
use crate::queue::Queue;
use crate::queue::intake::Intake;
use crate::queue::views::errors::ErrorGroup;
use crate::settings::Live;
use body::Room;
use kept::Kept;
use parser::Parser;
use problem::Problem;
use rate::Rate;
use snapshot::Snapshot;
use tail::Tail;

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

/// The limits in force, for the status answer.
#[derive(Debug, Clone, Copy)]
pub struct QuotaView {
    /// The most calls in any rolling window.
    pub per_window: u32,
    /// The length of the window in milliseconds.
    pub window_ms: u64,
    /// The most calls in a day.
    pub per_day: u32,
    /// How many retries a row has before it is marked failed.
    pub max_retries: i32,
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
    /// The queue for admin queries and actions. It has separate connections with a statement
    /// timeout.
    pub queue: Queue,
    /// The queue for events, keys and readiness, which must not wait for admin queries.
    pub door: Queue,
    /// Accepts events for storage.
    pub intake: Intake,
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Checks keys and sessions.
    pub access: Access,
    /// The account's property definitions, used for previews.
    pub definitions: SharedDefinitions,
    /// Limits how many requests under `/admin` use the database at a time: one for each connection
    /// for queries.
    pub turns: Arc<Semaphore>,
    /// Cancelled when the process is about to stop. It is then not ready any more, but still serves
    /// requests.
    pub draining: CancellationToken,
    /// Whether browsers use https.
    pub is_https: bool,
    /// The cached state of the service.
    pub snapshot: Arc<Kept<Snapshot>>,
    /// The cached groups of failed rows.
    pub errors: Arc<Kept<Vec<ErrorGroup>>>,
    /// The live tail of the log.
    pub tail: Tail,
    /// The settings for accepting events.
    pub ingest: Arc<IngestSettings>,
    /// The memory for request bodies.
    pub room: Room,
    /// The thread that parses large bodies.
    pub parser: Parser,
    /// The rate limit for events of a key.
    pub rate: Rate,
    /// The settings that can change while the service runs.
    pub settings: Live,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
}

impl AppState {
    /// Waits for a database turn for a request under `/admin`, and fails if that takes too long.
    async fn turn(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let turn = Arc::clone(&self.turns).acquire_owned();
        match tokio::time::timeout(LONGEST_WAIT, turn).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "busy",
                "too much is being looked at; come again in a moment",
            )),
        }
    }

    /// Returns the limits in force.
    #[must_use]
    pub fn quota(&self) -> QuotaView {
        let now = self.settings.now();
        QuotaView {
            per_window: now.values.limit_per_10s,
            window_ms: 10_000,
            per_day: now.values.limit_per_day,
            max_retries: now.values.max_retries,
        }
    }
}

/// The longest wait for a turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The timeout of a request.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// The largest body under `/admin/sync` without events, in bytes: enough for ten thousand row
/// numbers.
const LARGEST_ADMIN_BODY: usize = 256 * 1024;

/// Builds all routes.
pub fn router(state: AppState) -> Router {
    let (events, mut api) = document::events().split_for_parts();
    let (admin, admin_api) = admin::routes().split_for_parts();
    let admin = admin
        // Inside the layer, so that nobody without a key can find out which methods exist.
        .method_not_allowed_fallback(problem::no_such_method)
        .layer(DefaultBodyLimit::max(LARGEST_ADMIN_BODY))
        .layer(from_fn_with_state(state.clone(), auth::viewers_only));
    api = api.nest("/admin/sync", admin_api);
    let routes = events
        .nest("/admin/sync", admin)
        .merge(document::routes(api))
        .merge(dashboard::router(state.clone()));
    layered(routes, state)
}

/// Builds the routes for health and metrics only, for a process that only runs workers.
pub fn health_router(state: AppState) -> Router {
    let health = Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/metrics", get(health::metrics));
    layered(health, state)
}

fn layered(routes: Router<AppState>, state: AppState) -> Router {
    let request_id = HeaderName::from_static("x-request-id");
    let is_https = state.is_https;
    routes
        .fallback(async || {
            Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such path")
        })
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(state)
        .layer(from_fn(move |request: Request, next: Next| guarded(is_https, request, next)))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(|request: &axum::http::Request<_>| {
                    let id = request.headers().get("x-request-id").and_then(|v| v.to_str().ok());
                    // The pattern of the route instead of the path, because an external id in the
                    // path may be an e-mail address.
                    let route = request.extensions().get::<axum::extract::MatchedPath>();
                    let trace = request.headers().get("traceparent").and_then(|v| v.to_str().ok());
                    let trace = trace.and_then(crate::event::traceparent);
                    tracing::info_span!(
                        "request",
                        http.method = %request.method(),
                        http.route = route.map(axum::extract::MatchedPath::as_str),
                        request.id = id,
                        trace.parent = trace
                    )
                })
                .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG)),
        )
        .layer(from_fn(in_time))
        .layer(CatchPanicLayer::custom(|_| Problem::internal().into_response_now()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .layer(SetSensitiveRequestHeadersLayer::new([header::AUTHORIZATION, header::COOKIE]))
}

/// Adds headers against caching, framing and content sniffing, unless the answer sets its own.
async fn guarded(is_https: bool, request: Request, next: Next) -> Response {
    const DEFAULTS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ];
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in DEFAULTS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if is_https {
        let a_year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, a_year);
    }
    response
}

/// Ends a request that takes too long with a problem document.
async fn in_time(request: Request, next: Next) -> Result<Response, Problem> {
    tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await.map_err(|_| Problem::timeout())
}
