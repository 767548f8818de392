//! The gates: why nothing is sent, and the gate that people close and open.

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;

use super::failure::Failure;
use super::page::Visitor;
use super::when::When;
use crate::access::Role;
use crate::http::AppState;
use crate::queue::gates::gate::Gate;

/// A closed gate, described for people.
pub(super) struct GateLine {
    pub(super) name: String,
    pub(super) sync_type: Option<String>,
    pub(super) reason: String,
    pub(super) hint: Option<String>,
    pub(super) since: When,
    /// What happens automatically, when, and with what result.
    pub(super) next: Option<(&'static str, When, &'static str)>,
}

impl GateLine {
    pub(super) fn of(gate: Gate, visitor: &Visitor) -> Self {
        let name = match gate.kind.as_str() {
            "paused" => "Sending is paused".to_owned(),
            "daily" => "The day's quota is spent".into(),
            "reserve" => "The last of the day's quota is kept for high priority".into(),
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
pub(super) struct PauseForm {
    reason: String,
}

/// The longest reason, in characters.
const LONGEST_REASON: usize = 200;

/// `POST /admin/pause`.
pub(super) async fn pause(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(form): Form<PauseForm>,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    let reason: String = form.reason.trim().chars().take(LONGEST_REASON).collect();
    let reason = Some(reason).filter(|reason| !reason.is_empty());
    state.queue.pause(visitor.name(), reason.as_deref(), visitor.now).await?;
    state.forget().await;
    Ok(Redirect::to("/admin").into_response())
}

/// `POST /admin/resume`.
pub(super) async fn resume(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    visitor.must(Role::Operator)?;
    state.queue.resume(visitor.name(), visitor.now).await?;
    state.forget().await;
    Ok(Redirect::to("/admin").into_response())
}
