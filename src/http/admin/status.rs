//! `GET /admin/sync/status`: the state of the whole service in one answer.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use super::tasks::TaskView;
use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::problem::{Problem, ProblemBody};
use crate::operator::status::Snapshot;
use crate::operator::views::Status;

/// The number of rows for each of the five statuses.
type Counts = BTreeMap<&'static str, i64>;

/// The state of the service.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// The current time by the database's clock.
    pub now: DateTime<Utc>,
    /// The number of rows by status. Discarded rows are left out.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub counts: Counts,
    /// The same numbers by object kind.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, i64>>)]
    pub by_sync_type: BTreeMap<String, Counts>,
    /// When the oldest waiting row was accepted.
    pub oldest_waiting_at: Option<DateTime<Utc>>,
    /// The age of that row.
    pub oldest_waiting_seconds: Option<i64>,
    /// Association slots that wait for the record at the other end.
    pub parked_associations: i64,
    /// Whether hubferry sends, and why not.
    pub gate: GateView,
    /// The calls in HubSpot's rolling window.
    pub limiter: LimiterView,
    /// The calls of the day.
    pub daily: DailyView,
    /// The HubSpot account.
    pub account: AccountView,
    /// When a row of each object kind was last synced.
    pub last_sync: BTreeMap<String, DateTime<Utc>>,
    /// How many rows are synced.
    pub throughput: ThroughputView,
    /// What workers have leased at this moment.
    pub leases: Vec<LeaseOf>,
    /// The background tasks of all processes, by name.
    pub tasks: Vec<TaskView>,
}

/// Whether hubferry sends.
#[derive(Debug, Serialize, ToSchema)]
pub struct GateView {
    /// `open`, `paused` or `closed`.
    pub state: &'static str,
    /// Why not, with one entry for each reason.
    pub reasons: Vec<GateReason>,
}

/// Why nothing is sent, or nothing of one object kind.
#[derive(Debug, Serialize, ToSchema)]
pub struct GateReason {
    /// `paused`, `account`, `window`, `daily`, `reserve`, `locked`, `migrating`, `credentials`,
    /// `scope`, `schema` or `breaker`.
    pub kind: String,
    /// The object kind; `null` means all.
    pub sync_type: Option<String>,
    /// HubSpot's code, if it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// When the gate closed.
    pub closed_at: DateTime<Utc>,
    /// When the gate opens; `null`: when a person opens it. If `probed`, one record is tried at
    /// that time.
    pub until: Option<DateTime<Utc>>,
    /// Whether the gate opens when HubSpot accepts a trial record, rather than at a fixed time.
    pub probed: bool,
}

/// The calls in HubSpot's rolling window.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimiterView {
    /// The limit in the settings: calls in any window.
    pub limit: u32,
    /// The limit in HubSpot's headers.
    pub hubspot_limit: Option<i32>,
    /// The number of calls used.
    pub used: i64,
    /// The length of the window.
    pub window_ms: u64,
}

/// The daily limit and its use.
#[derive(Debug, Serialize, ToSchema)]
pub struct DailyView {
    /// The limit in the settings: calls in a day.
    pub limit: u32,
    /// The limit in HubSpot's headers.
    pub hubspot_limit: Option<i32>,
    /// The number of calls since the day began.
    pub used: i32,
    /// When the day began: midnight in the account's time zone.
    pub since: Option<DateTime<Utc>>,
    /// The account's time zone.
    pub time_zone: String,
}

/// The HubSpot account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// The account's id; `null` until the first connection.
    pub hubspot_portal_id: Option<i64>,
}

/// How many rows are synced.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThroughputView {
    /// Rows synced in the last minute.
    pub synced_last_minute: i64,
}

/// What one worker has leased.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeaseOf {
    /// The worker.
    pub holder: String,
    /// The object kind.
    pub sync_type: String,
    /// The number of records.
    pub records: i64,
    /// When the lease began.
    pub since: DateTime<Utc>,
    /// When the lease expires.
    pub until: DateTime<Utc>,
}

/// Reads the state of the service.
///
/// # Errors
/// When the database fails.
pub async fn status(state: &AppState) -> Result<StatusView, Problem> {
    let Snapshot { now, totals, gates, account, leases, tasks } = state.operator.status().await?;

    let zeros = || Status::ALL.iter().map(|s| (s.as_str(), 0)).collect::<Counts>();
    let mut counts = zeros();
    let mut by_sync_type: BTreeMap<String, Counts> =
        state.operator.mapping().objects().iter().map(|o| (o.sync_type.clone(), zeros())).collect();
    for count in totals.counts {
        let Ok(status) = count.status.parse::<Status>() else { continue };
        *counts.entry(status.as_str()).or_default() += count.rows;
        let kind = by_sync_type.entry(count.sync_type).or_insert_with(zeros);
        *kind.entry(status.as_str()).or_default() += count.rows;
    }
    let paused = gates.iter().any(|gate| gate.kind == "paused");
    let whole = gates.iter().any(|gate| gate.sync_type.is_empty());
    let reasons = gates.into_iter().map(|gate| GateReason {
        probed: gate.is_probed(),
        sync_type: (!gate.sync_type.is_empty()).then_some(gate.sync_type),
        kind: gate.kind,
        code: gate.code,
        reason: gate.reason,
        hint: gate.hint,
        closed_at: gate.closed_at,
        until: gate.until,
    });
    Ok(StatusView {
        now,
        counts,
        by_sync_type,
        oldest_waiting_at: totals.oldest_waiting,
        oldest_waiting_seconds: totals.oldest_waiting.map(|since| (now - since).num_seconds()),
        parked_associations: totals.parked_associations,
        gate: GateView {
            state: if paused {
                "paused"
            } else if whole {
                "closed"
            } else {
                "open"
            },
            reasons: reasons.collect(),
        },
        limiter: LimiterView {
            limit: state.operator.limits().per_window,
            hubspot_limit: account.window_limit,
            used: totals.window_used,
            window_ms: state.operator.limits().window_ms,
        },
        daily: DailyView {
            limit: state.operator.limits().per_day,
            hubspot_limit: account.day_limit,
            used: account.day_used,
            since: account.day_started_at,
            time_zone: account.time_zone,
        },
        account: AccountView { hubspot_portal_id: account.hubspot_portal_id },
        last_sync: totals
            .last_sync
            .iter()
            .map(|l| (l.sync_type.clone(), l.last_synced_at))
            .collect(),
        throughput: ThroughputView { synced_last_minute: totals.synced_last_minute },
        leases: leases
            .into_iter()
            .map(|l| LeaseOf {
                holder: l.holder,
                sync_type: l.sync_type,
                records: l.records,
                since: l.since,
                until: l.until,
            })
            .collect(),
        tasks: tasks.into_iter().map(TaskView::from).collect(),
    })
}

/// Show counts, gates, limits, last syncs, throughput, leases and background tasks.
#[utoipa::path(get, path = "/status", tag = "status",
    responses((status = 200, body = StatusView), (status = 401, body = ProblemBody)))]
pub(super) async fn show(
    _: Viewer,
    State(state): State<AppState>,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(status(&state).await?))
}
