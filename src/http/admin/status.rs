//! `GET /admin/sync/status`: everything on one page.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::http::AppState;
use crate::http::problem::Problem;
use crate::queue::model::Status;

/// Counts, gate, quota, last syncs, throughput.
pub(super) async fn show(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let (now, quota) = (state.queue.now().await?, state.quota());
    let totals = state.queue.totals(now).await?;
    let gates = state.queue.gates(now).await?;
    let account = state.queue.account().await?;

    let mut all: BTreeMap<&str, i64> = Status::ALL.iter().map(|s| (s.as_str(), 0)).collect();
    let mut by_type: BTreeMap<&str, BTreeMap<&str, i64>> = BTreeMap::new();
    for object in state.mapping.objects() {
        let zeros = Status::ALL.iter().map(|s| (s.as_str(), 0)).collect();
        by_type.insert(&object.sync_type, zeros);
    }
    for count in &totals.counts {
        *all.entry(&count.status).or_default() += count.rows;
        *by_type.entry(&count.sync_type).or_default().entry(&count.status).or_default() +=
            count.rows;
    }
    let last_sync: BTreeMap<&str, _> =
        totals.last_sync.iter().map(|l| (l.sync_type.as_str(), l.last_synced_at)).collect();
    let reasons: Vec<Value> = gates
        .iter()
        .map(|gate| {
            json!({ "kind": gate.kind, "sync_type": (!gate.sync_type.is_empty()).then_some(&gate.sync_type),
                    "code": gate.code, "reason": gate.reason, "hint": gate.hint,
                    "closed_at": gate.closed_at, "until": gate.until })
        })
        .collect();
    let paused = gates.iter().any(|gate| gate.kind == "paused");
    let whole = gates.iter().any(|gate| gate.sync_type.is_empty());
    Ok(Json(json!({
        "now": now,
        "counts": all,
        "by_sync_type": by_type,
        "oldest_waiting_at": totals.oldest_waiting,
        "oldest_waiting_seconds": totals.oldest_waiting.map(|since| (now - since).num_seconds()),
        "parked_associations": totals.parked_associations,
        "gate": {
            "state": if paused { "paused" } else if whole { "closed" } else { "open" },
            "reasons": reasons,
        },
        "limiter": {
            "limit": quota.per_window, "hubspot_limit": account.window_limit,
            "used": totals.window_used, "window_ms": quota.window_ms,
        },
        "daily": {
            "limit": quota.per_day, "hubspot_limit": account.day_limit, "used": account.day_used,
            "since": account.day_started_at, "time_zone": account.time_zone,
        },
        "account": { "hubspot_portal_id": account.hubspot_portal_id },
        "last_sync": last_sync,
        "throughput": { "synced_last_minute": totals.synced_last_minute },
    })))
}
