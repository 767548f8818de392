//! Health and metrics for monitoring.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::AppState;
use super::problem::{Problem, ProblemBody};
use crate::queue::model::Status;

/// Liveness: the process answers.
#[utoipa::path(get, path = "/livez", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn livez() -> &'static str {
    "ok\n"
}

/// The answer of a process that is ready.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ready {
    /// Always `true`.
    ready: bool,
}

/// Readiness: the database answers and can be written to. HubSpot does not matter, because accepted
/// events can wait.
///
/// # Errors
/// 503 without a database, with a standby, and before the process stops.
#[utoipa::path(get, path = "/readyz", tag = "health", security(()),
    responses((status = 200, body = Ready), (status = 503, body = ProblemBody)))]
pub async fn readyz(State(state): State<AppState>) -> Result<Json<Ready>, Problem> {
    if state.draining.is_cancelled() {
        let detail = "the process is about to stop: send new requests to another one";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", detail));
    }
    let patience = Duration::from_secs(2);
    let detail = match tokio::time::timeout(patience, state.queue.writable()).await {
        Ok(Ok(true)) => return Ok(Json(Ready { ready: true })),
        Ok(Ok(false)) => "the database is read-only",
        _ => "the database does not answer",
    };
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", detail))
}

/// Metrics in Prometheus text format: counters of this process, gauges of the shared queue.
///
/// # Errors
/// 503 without a database.
#[utoipa::path(get, path = "/metrics", tag = "health", security(()),
    responses((status = 200, body = String, content_type = "text/plain"),
              (status = 503, body = ProblemBody)))]
pub async fn metrics(State(state): State<AppState>) -> Result<String, Problem> {
    let snapshot = state.operator.status().await?;
    let (now, totals) = (snapshot.now, &snapshot.totals);
    // Statuses without rows are set to zero, so that old values do not stay.
    for (object, status) in
        state.mapping.objects().iter().flat_map(|o| Status::ALL.map(|status| (o, status)))
    {
        let labels = [("sync_type", object.sync_type.clone()), ("status", status.as_str().into())];
        metrics::gauge!("hubferry_rows", &labels).set(0.0);
    }
    for count in &totals.counts {
        let labels = [("sync_type", count.sync_type.clone()), ("status", count.status.clone())];
        metrics::gauge!("hubferry_rows", &labels).set(count.rows as f64);
    }
    let age = totals.oldest_waiting.map_or(0, |since| (now - since).num_seconds());
    metrics::gauge!("hubferry_oldest_waiting_seconds").set(age as f64);
    metrics::gauge!("hubferry_window_used").set(totals.window_used as f64);
    metrics::gauge!("hubferry_window_limit").set(f64::from(state.operator.limits().per_window));
    metrics::gauge!("hubferry_gates_closed").set(snapshot.gates.len() as f64);
    Ok(state.metrics.render())
}
