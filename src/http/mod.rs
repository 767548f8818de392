//! The way in: events, the admin API, health. Handlers never call HubSpot.

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
use crate::hubspot::definitions::DefinitionCache;
use crate::mapping::Mapping;
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

/// What the door checks.
#[derive(Debug, Clone)]
pub struct IngestSettings {
    /// The source of events that name none.
    pub default_source: String,
    /// How far an event's time may run ahead of the database's clock.
    pub max_ahead: TimeDelta,
    /// The largest body, in bytes.
    pub max_body: usize,
    /// The most events of one body.
    pub max_events: usize,
}

/// What the quota is, for the status answer.
#[derive(Debug, Clone, Copy)]
pub struct QuotaView {
    /// Calls in any rolling window.
    pub per_window: u32,
    /// The window in milliseconds.
    pub window_ms: u64,
    /// Calls a day.
    pub per_day: u32,
    /// After so many retries a row fails.
    pub max_retries: i32,
}

/// What handlers share. Cheap to clone: every layer of every request does.
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
    /// The queue, for looks and verbs: over connections of their own, whose statements are bounded.
    pub queue: Queue,
    /// The queue, for what waits for no look: events, keys, readiness.
    pub door: Queue,
    /// Where events are handed in.
    pub intake: Intake,
    /// The mapping.
    pub mapping: Arc<Mapping>,
    /// Keys and sessions.
    pub access: Access,
    /// Says what would be sent.
    pub definitions: DefinitionCache,
    /// Turns at the database for requests under `/admin`: as many as there are connections for looks.
    pub turns: Arc<Semaphore>,
    /// Cancelled when the process is about to stop: it is not ready any more, and still serves.
    pub draining: CancellationToken,
    /// Whether browsers come by https.
    pub is_https: bool,
    /// How everything stands.
    pub snapshot: Arc<Kept<Snapshot>>,
    /// The groups of failed rows.
    pub errors: Arc<Kept<Vec<ErrorGroup>>>,
    /// The live tail of the log.
    pub tail: Tail,
    /// What the door checks.
    pub ingest: Arc<IngestSettings>,
    /// The memory that bodies may take.
    pub room: Room,
    /// Where large ones become events.
    pub parser: Parser,
    /// How fast a key may send.
    pub rate: Rate,
    /// The settings that can change.
    pub settings: Live,
    /// The metrics.
    pub metrics: PrometheusHandle,
}

impl AppState {
    /// A turn at the database for a request under `/admin`: who waits for one is told so in time.
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

    /// The quota as it is now.
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

/// Nobody waits longer for his turn.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// No request takes longer.
const LONGEST_REQUEST: Duration = Duration::from_secs(60);

/// The largest body under `/admin/sync` that carries no events, in bytes: ten thousand row numbers.
const LARGEST_ADMIN_BODY: usize = 256 * 1024;

/// All routes.
pub fn router(state: AppState) -> Router {
    let (events, mut api) = document::events().split_for_parts();
    let (admin, admin_api) = admin::routes().split_for_parts();
    let admin = admin
        // Within the layer: without a key nobody learns which methods there are.
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

/// Health and metrics only, for a process that runs workers.
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
                    // The route's pattern, not the path: an external id in it may be an address.
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

/// No answer is kept, framed or taken for another kind of file, unless it says otherwise.
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

/// Ends a request that takes too long with a problem like any other.
async fn in_time(request: Request, next: Next) -> Result<Response, Problem> {
    tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await.map_err(|_| Problem::timeout())
}
