//! `/admin`: the dashboard, for people.
//!
//! Every page is whole without JavaScript: links, forms, and `POST → 303 → GET`. htmx only asks
//! for parts of the same pages. All state is in the address, nothing is kept in the browser but the
//! session's cookie and the colour scheme, and no value reaches a page unescaped.

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

/// The pages. What lies behind the sign-in cannot be told apart from outside it, not even whether
/// it exists.
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
    // Files are compressed and pages are not: what a page repeats of its address beside the token
    // of its forms could be told from its length.
    let files = Router::new()
        .route("/admin/assets/{name}", get(assets::show))
        .layer(CompressionLayer::new());
    Router::new()
        .route("/admin/sign-in", get(sign_in::show).post(sign_in::sign_in))
        // Anybody may send this one: a key and a path fit in well.
        .layer(DefaultBodyLimit::max(16 * 1024))
        .method_not_allowed_fallback(async || Failure::no_method())
        .merge(files)
        .merge(pages)
        .layer(from_fn(guard::look))
}
