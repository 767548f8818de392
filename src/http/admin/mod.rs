//! `/admin/sync`: what admins and the command line see and do.

mod queue;
pub mod settings;
mod status;
mod verbs;
pub mod view;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::AppState;
use super::auth::admin_only;
use super::problem::no_such_method;

/// The routes, behind the admin key.
pub fn router(state: AppState) -> Router<AppState> {
    Router::new()
        .route("/status", get(status::show))
        .route("/queue", get(queue::list))
        .route("/queue/{id}", get(queue::show))
        .route("/queue/{id}/retry", post(verbs::retry_one))
        .route("/queue/{id}/discard", post(verbs::discard))
        .route("/retry", post(verbs::retry))
        .route("/records/{sync_type}/{external_id}/allow", post(verbs::allow))
        .route("/settings", get(settings::show).put(settings::change))
        .route("/pause", post(verbs::pause))
        .route("/resume", post(verbs::resume))
        // Within the layer: without a key nobody learns which methods there are.
        .method_not_allowed_fallback(no_such_method)
        .layer(from_fn_with_state(state, admin_only))
}
