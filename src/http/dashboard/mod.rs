//! `/admin`: the dashboard for people.
//!
//! Every page works without JavaScript: links, forms, and `POST → 303 → GET`. htmx only requests
//! parts of the same pages. All state is in the address. The browser stores only the cookies for
//! the session and the colour scheme. Every value is escaped before it is shown.

mod accepted;
mod assets;
mod audit;
mod bulk;
mod chart;
mod errors;
mod failure;
mod forms;
mod gates;
mod guard;
mod keys;
mod lines;
mod link;
mod logs;
mod outlook;
mod overview;
mod page;
mod queue;
mod record;
mod records;
mod row;
mod settings;
mod sign_in;
mod tasks;
mod timeline;
mod when;
mod words;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::AppState;
use failure::Failure;

/// Builds the routes. Without signing in, nobody can find out which pages exist.
pub(super) fn router(state: AppState) -> Router<AppState> {
    let pages = Router::new()
        .route("/admin", get(overview::show))
        .route("/admin/", get(async || Redirect::permanent("/admin")))
        .route("/admin/pause", post(gates::pause))
        .route("/admin/resume", post(gates::resume))
        .route("/admin/queue", get(queue::show))
        .route("/admin/queue/retry", post(bulk::retry))
        .route("/admin/queue/discard", post(bulk::discard))
        .route("/admin/queue/{id}", get(row::show))
        .route("/admin/queue/{id}/retry", post(row::retry))
        .route("/admin/queue/{id}/confirm", post(row::confirm))
        .route("/admin/queue/{id}/reveal", post(row::reveal))
        .route("/admin/records", get(records::show))
        .route("/admin/records/{sync_type}/{external_id}", get(record::show))
        .route("/admin/records/{sync_type}/{external_id}/reveal", post(record::reveal))
        .route("/admin/records/{sync_type}/{external_id}/resync", post(record::resync))
        .route("/admin/errors", get(errors::show))
        .route("/admin/logs", get(logs::show))
        .route("/admin/logs/stream", get(logs::stream))
        .route("/admin/audit", get(audit::show))
        .route("/admin/settings", get(settings::show).post(settings::change))
        .route("/admin/keys", get(keys::show).post(keys::make))
        .route("/admin/keys/{id}/revoke", post(keys::revoke))
        .route("/admin/theme", post(sign_in::theme))
        .route("/admin/sign-out", post(sign_in::sign_out))
        .route("/admin/{*rest}", any(async || Failure::unknown("There is no such page.")))
        .method_not_allowed_fallback(async || Failure::no_method())
        .layer(CatchPanicLayer::custom(|_| Failure::internal().into_response()))
        .layer(from_fn_with_state(state, guard::signed_in));
    // Files are compressed, but pages are not. A page contains both its address and the token of
    // its forms, so the compressed length would reveal the token.
    let files = Router::new()
        .route("/admin/assets/{name}", get(assets::show))
        .layer(CompressionLayer::new());
    Router::new()
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::sign_in))
        // Anybody can send this form, so its size is limited. A key and a path fit easily.
        .layer(DefaultBodyLimit::max(16 * 1024))
        .method_not_allowed_fallback(async || Failure::no_method())
        .merge(files)
        .merge(pages)
        .layer(from_fn(guard::look))
}
