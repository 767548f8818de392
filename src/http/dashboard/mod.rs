//! `/admin`: the dashboard for people.
//!
//! Every page works without JavaScript: links, forms, and `POST → 303 → GET`. htmx only requests
//! parts of the same pages. All state is in the address. The browser stores only the cookies for
//! the session and the colour scheme. Every value is escaped before it is shown.

mod audit;
mod errors;
mod keys;
mod layout;
mod logs;
mod overview;
pub mod pages;
mod records;
mod rows;
mod settings;
mod sign_in;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Redirect};
use axum::routing::{MethodRouter, any, get, post};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use super::AppState;
use layout::failure::Failure;
use layout::{assets, guard};
use overview::gates;
use pages::{PAGES, PageInfo};

/// Builds the routes. Without signing in, nobody can find out which pages exist.
pub(super) fn router(state: AppState) -> Router<AppState> {
    let pages = PAGES.iter().fold(Router::new(), |all, page| all.route(page.path, handler(page)));
    let pages = pages
        .route("/admin/", get(async || Redirect::permanent("/admin")))
        .route("/admin/pause", post(gates::pause))
        .route("/admin/resume", post(gates::resume))
        .route("/admin/queue/retry", post(rows::bulk::retry))
        .route("/admin/queue/discard", post(rows::bulk::discard))
        .route("/admin/queue/{id}/retry", post(rows::detail::retry))
        .route("/admin/queue/{id}/confirm", post(rows::detail::confirm))
        .route("/admin/queue/{id}/reveal", post(rows::detail::reveal))
        .route("/admin/records/{sync_type}/{external_id}/reveal", post(records::detail::reveal))
        .route("/admin/records/{sync_type}/{external_id}/resync", post(records::detail::resync))
        .route("/admin/records/{sync_type}/{external_id}/allow", post(records::detail::allow))
        .route("/admin/logs/stream", get(logs::stream))
        .route("/admin/settings", post(settings::change))
        .route("/admin/keys", post(keys::make))
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

/// Returns the handler of a page. A test asks for every page of the list.
fn handler(page: &PageInfo) -> MethodRouter<AppState> {
    match page.path {
        "/admin" => get(overview::show),
        "/admin/queue" => get(rows::list::show),
        "/admin/queue/{id}" => get(rows::detail::show),
        "/admin/records" => get(records::list::show),
        "/admin/records/{sync_type}/{external_id}" => get(records::detail::show),
        "/admin/errors" => get(errors::show),
        "/admin/logs" => get(logs::show),
        "/admin/audit" => get(audit::show),
        "/admin/settings" => get(settings::show),
        "/admin/keys" => get(keys::show),
        _ => get(async || Failure::unknown("There is no such page.")),
    }
}
