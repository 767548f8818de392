//! `GET /admin/sync/status`: everything on one page.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::AppState;
use crate::http::auth::Viewer;
use crate::http::problem::{Problem, ProblemBody};
use crate::http::snapshot::Snapshot;
use crate::queue::model::Status;

/// How many rows have each of the five statuses.
type Counts = BTreeMap<&'static str, i64>;

/// How everything stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusView {
    /// The database's clock.
    pub now: DateTime<Utc>,
    /// Rows by status; discarded ones are left out.
    #[schema(value_type = BTreeMap<String, i64>)]
    pub counts: Counts,
    /// The same by object kind.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, i64>>)]
    pub by_sync_type: BTreeMap<String, Counts>,
    /// When the row that waits the longest was accepted.
    pub oldest_waiting_at: Option<DateTime<Utc>>,
    /// Its age.
    pub oldest_waiting_seconds: Option<i64>,
    /// Association slots that wait for their other end.
    pub parked_associations: i64,
    /// Whether anything is sent, and why not.
    pub gate: GateView,
    /// The rolling window.
    pub limiter: LimiterView,
    /// The day.
    pub daily: DailyView,
    /// The HubSpot account.
    pub account: AccountView,
    /// When something of an object kind was last synced.
    pub last_sync: BTreeMap<String, DateTime<Utc>>,
    /// How much goes through.
    pub throughput: ThroughputView,
    /// What workers hold at this moment.
    pub leases: Vec<LeaseOf>,
}

/// Whether anything is sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct GateView {
    /// `open`, `paused` or `closed`.
    pub state: &'static str,
    /// Why not, one entry a reason.
    pub reasons: Vec<GateReason>,
}

/// Why nothing, or nothing of one object kind, is sent.
#[derive(Debug, Serialize, ToSchema)]
pub struct GateReason {
    /// `paused`, `account`, `window`, `daily`, `reserve`, `locked`, `migrating`, `credentials`,
    /// `scope`, `schema` or `breaker`.
    pub kind: String,
    /// The object kind; `null`: all.
    pub sync_type: Option<String>,
    /// HubSpot's word, where it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Since when.
    pub closed_at: DateTime<Utc>,
    /// Until when; `null`: until a person opens it. Where `probed`, one record is tried then.
    pub until: Option<DateTime<Utc>>,
    /// Whether the gate opens by a record that is tried and taken, and not by the clock.
    pub probed: bool,
}

/// The rolling window of the quota.
#[derive(Debug, Serialize, ToSchema)]
pub struct LimiterView {
    /// Calls in any window, by the settings.
    pub limit: u32,
    /// The same by HubSpot's headers.
    pub hubspot_limit: Option<i32>,
    /// Places that are taken.
    pub used: i64,
    /// The window's length.
    pub window_ms: u64,
}

/// The day's quota.
#[derive(Debug, Serialize, ToSchema)]
pub struct DailyView {
    /// Calls a day, by the settings.
    pub limit: u32,
    /// The same by HubSpot's headers.
    pub hubspot_limit: Option<i32>,
    /// Calls since the day began.
    pub used: i32,
    /// When it began, at midnight in the account's time zone.
    pub since: Option<DateTime<Utc>>,
    /// The account's time zone.
    pub time_zone: String,
}

/// The HubSpot account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountView {
    /// Its id; `null` until the first connection.
    pub hubspot_portal_id: Option<i64>,
}

/// How much goes through.
#[derive(Debug, Serialize, ToSchema)]
pub struct ThroughputView {
    /// Rows synced in the last minute.
    pub synced_last_minute: i64,
}

/// What one worker holds.
#[derive(Debug, Serialize, ToSchema)]
pub struct LeaseOf {
    /// The worker.
    pub holder: String,
    /// The object kind.
    pub sync_type: String,
    /// How many records.
    pub records: i64,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Until when.
    pub until: DateTime<Utc>,
}

/// How everything stands.
///
/// # Errors
/// When the database fails.
pub async fn status(state: &AppState) -> Result<StatusView, Problem> {
    let Snapshot { now, totals, gates, account, leases } = Snapshot::of(&state.queue).await?;

    let zeros = || Status::ALL.iter().map(|s| (s.as_str(), 0)).collect::<Counts>();
    let mut counts = zeros();
    let mut by_sync_type: BTreeMap<String, Counts> =
        state.mapping.objects().iter().map(|o| (o.sync_type.clone(), zeros())).collect();
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
            limit: state.quota().per_window,
            hubspot_limit: account.window_limit,
            used: totals.window_used,
            window_ms: state.quota().window_ms,
        },
        daily: DailyView {
            limit: state.quota().per_day,
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
    })
}

/// Counts, gate, quota, last syncs, throughput, leases.
#[utoipa::path(get, path = "/status", tag = "status",
    responses((status = 200, body = StatusView), (status = 401, body = ProblemBody)))]
pub(super) async fn show(
    _: Viewer,
    State(state): State<AppState>,
) -> Result<Json<StatusView>, Problem> {
    Ok(Json(status(&state).await?))
}
