//! The HTTP API: events, the admin API and health. Handlers never call HubSpot.

pub mod admin;
pub mod auth;
mod dashboard;
mod document;
pub mod events;
pub mod extract;
pub mod health;
pub mod problem;
mod state;

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::sensitive_headers::SetSensitiveRequestHeadersLayer;
use tower_http::trace::{DefaultOnFailure, TraceLayer};

pub use dashboard::pages;
use problem::Problem;
pub use state::{AppState, IngestSettings, Shared};

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
