//! The gates: why nothing is sent, and the gate that people close and open.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::page::Visitor;
use crate::http::dashboard::layout::when::When;
use crate::operator::views::{Gate, Role};

/// A closed gate, described for people.
pub(in crate::http::dashboard) struct GateLine {
    pub(in crate::http::dashboard) name: String,
    pub(in crate::http::dashboard) sync_type: Option<String>,
    pub(in crate::http::dashboard) reason: String,
    pub(in crate::http::dashboard) hint: Option<String>,
    pub(in crate::http::dashboard) since: When,
    /// What happens automatically, when, and with what result.
    pub(in crate::http::dashboard) next: Option<(&'static str, When, &'static str)>,
}

impl GateLine {
    pub(in crate::http::dashboard) fn of(gate: Gate, visitor: &Visitor) -> Self {
        let name = match gate.kind.as_str() {
            "paused" => "Sending is paused".to_owned(),
            "daily" => "The daily limit is used up".into(),
            "reserve" => "The rest of the daily limit is reserved for high priority".into(),
            "window" => "The gate is closed by HubSpot's rate limit".into(),
            "breaker" => "HubSpot is down".into(),
            "credentials" => "HubSpot refuses the access token".into(),
            kind => format!("The gate is closed ({kind})"),
        };
        let next = match gate.kind.as_str() {
            "account" => ("the account is checked again at", ""),
            _ if gate.is_probed() => {
                ("one record is tried at", "; the gate opens if HubSpot accepts it")
            }
            _ => ("opens", ""),
        };
        Self {
            name,
            next: gate.until.map(|until| (next.0, visitor.full(until), next.1)),
            sync_type: Some(gate.sync_type).filter(|kind| !kind.is_empty()),
            reason: gate.reason,
            hint: gate.hint,
            since: visitor.when(gate.closed_at),
        }
    }
}

/// The form with the reason for pausing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct PauseForm {
    reason: String,
}

/// `POST /admin/pause`.
pub(in crate::http::dashboard) async fn pause(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<PauseForm>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.operator.pause(Some(&form.reason), visitor.actor()).await?;
    Ok(Redirect::to("/admin").into_response())
}

/// `POST /admin/resume`.
pub(in crate::http::dashboard) async fn resume(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.operator.resume(visitor.actor()).await?;
    Ok(Redirect::to("/admin").into_response())
}
