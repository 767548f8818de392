//! `GET` and `PUT /admin/sync/settings`: the settings that can change while the service runs.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::auth::{Admin, Viewer};
use crate::http::extract::JsonBody;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::views::{Entry, Runtime, Source};

/// All settings that can change while the service runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SettingsView {
    /// The settings in a fixed order.
    pub settings: Vec<SettingView>,
}

/// One setting.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SettingView {
    /// The dotted key, as in config/default.toml.
    #[schema(example = "retry.max_retries")]
    pub key: String,
    /// The value in force: a number, a flag, a word, or a map from event types to priorities.
    #[schema(value_type = Value, example = 5)]
    pub value: Value,
    /// The compiled-in value.
    #[schema(value_type = Value, example = 3)]
    pub default: Value,
    /// Where the value in force comes from.
    pub source: Source,
    /// The unit of a number.
    pub unit: Option<String>,
    /// What it does.
    pub description: String,
    /// The smallest number that is allowed.
    #[schema(value_type = Option<f64>)]
    pub min: Option<Value>,
    /// The largest number that is allowed.
    #[schema(value_type = Option<f64>)]
    pub max: Option<Value>,
    /// When the stored value was stored, if there is one.
    pub changed_at: Option<DateTime<Utc>>,
    /// Who stored it.
    pub changed_by: Option<String>,
    /// Why the stored value is not in force, if it is not.
    pub ignored: Option<String>,
}

/// A request to change settings.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "settings": { "retry.max_retries": 5, "worker.enabled": null } }))]
pub struct SettingsChange {
    /// New values by key. `null` removes a stored value.
    #[schema(value_type = BTreeMap<String, Value>)]
    pub settings: BTreeMap<String, Value>,
}

/// List the settings that can change while the service runs, each with its source.
///
/// # Errors
/// 503 without a database.
#[utoipa::path(get, path = "/settings", tag = "settings",
    responses((status = 200, description = "The settings in force", body = SettingsView)))]
pub async fn show(_: Viewer, State(state): State<AppState>) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(view(&*state.operator.settings().await?)))
}

/// Store settings, all or none. They apply immediately in all processes, without a restart.
///
/// # Errors
/// 422 with everything that is wrong, 503 without a database.
#[utoipa::path(put, path = "/settings", tag = "settings",
    request_body = SettingsChange,
    responses(
        (status = 200, description = "The settings in force now", body = SettingsView),
        (status = 422, description = "`invalid_settings`: nothing was stored, `errors` names all faults",
         body = ProblemBody),
        (status = 400, body = ProblemBody),
        (status = 403, body = ProblemBody),
    ))]
pub async fn change(
    Admin(actor): Admin,
    State(state): State<AppState>,
    JsonBody(body): JsonBody<SettingsChange>,
) -> Result<Json<SettingsView>, Problem> {
    let given = body.settings.into_iter();
    let changes = given.map(|(key, value)| (key, Some(value).filter(|v| !v.is_null()))).collect();
    let runtime = state.operator.change_settings(&changes, &actor).await?;
    Ok(Json(view(&runtime)))
}

/// Returns the settings in force as the API shows them.
#[must_use]
pub fn view(runtime: &Runtime) -> SettingsView {
    SettingsView { settings: runtime.entries.iter().map(setting).collect() }
}

fn setting(entry: &Entry) -> SettingView {
    let (min, max) = entry.range.clone().unzip();
    SettingView {
        key: entry.spec.key.to_owned(),
        value: entry.value.clone(),
        default: entry.default.clone(),
        source: entry.source,
        unit: entry.spec.unit.map(str::to_owned),
        description: entry.spec.description.to_owned(),
        min,
        max,
        changed_at: entry.changed_at,
        changed_by: entry.changed_by.clone(),
        ignored: entry.ignored.clone(),
    }
}
