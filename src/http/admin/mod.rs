//! `/admin/sync`: the admin API, which admins and the command line use.

mod keys;
pub(super) mod lists;
pub mod logs;
mod plan;
mod queue;
mod records;
pub mod settings;
pub mod status;
pub mod tasks;
pub mod types;
mod verbs;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::AppState;

/// The routes. They must be protected by a key that may read.
pub fn routes() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(status::show))
        .routes(routes!(queue::list))
        .routes(routes!(queue::show))
        .routes(routes!(verbs::retry_one))
        .routes(routes!(verbs::discard_one))
        .routes(routes!(verbs::confirm))
        .routes(routes!(verbs::retry))
        .routes(routes!(verbs::discard))
        .routes(routes!(plan::plan))
        .routes(routes!(verbs::pause))
        .routes(routes!(verbs::resume))
        .routes(routes!(records::list))
        .routes(routes!(records::show))
        .routes(routes!(records::resync))
        .routes(routes!(records::allow))
        .routes(routes!(lists::errors))
        .routes(routes!(lists::audit))
        .routes(routes!(logs::list))
        .routes(routes!(logs::stream))
        .routes(routes!(settings::show, settings::change))
        .routes(routes!(keys::list, keys::make))
        .routes(routes!(keys::revoke))
}
