//! Gates stop sending, for one object kind or for all. A person, HubSpot's answers or a spent quota
//! can close one.
//!
//! There is one row for each reason, and all replicas share them. Gates for a quota end by
//! themselves. A gate for a fault stays closed after its time is over, and then lets one record
//! through as a probe, to test whether the fault is fixed.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::queue::audit;
use crate::queue::doubt::begin;
use crate::queue::gates::kind::{GateKind, Opens, PROBED};
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// A gate that is closed.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Gate {
    /// The object kind, or empty for all.
    pub sync_type: String,
    /// The kind of reason.
    pub kind: String,
    /// HubSpot's error code, if it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// When it was closed.
    pub closed_at: DateTime<Utc>,
    /// When it ends. `None` means that a person must open it. See [`Gate::is_probed`].
    pub until: Option<DateTime<Utc>>,
}

impl Gate {
    /// Whether the gate needs a probe at its end: one record is tried, and the gate opens if
    /// HubSpot accepts it.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        GateKind::of(&self.kind).is_some_and(|kind| PROBED.contains(&kind.opens()))
    }
}

/// What is stored and shown about a closed gate.
#[derive(Debug, Clone, Default)]
pub struct Closure {
    /// The object kind; `None`: all.
    pub sync_type: Option<String>,
    /// HubSpot's error code, if it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Queue {
    /// Closes the gate until `until`, or until a person opens it. If it is closed already, the
    /// later end wins.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn close_gate(
        &self,
        kind: GateKind,
        closure: &Closure,
        until: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let mut db = self.pool.acquire().await?;
        close(&mut db, self.portal(), kind, closure, until, now).await
    }

    /// Claims the right to probe the gates of `sync_type` whose time is over. No other worker may
    /// probe until `now + patience`. Returns `false` if another worker is probing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim_probe(
        &self,
        sync_type: &str,
        patience: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<bool, QueueError> {
        let claimed = sqlx::query(
            "UPDATE gate SET until = $3
             WHERE portal = $1 AND sync_type IN ('', $2) AND until <= $4 AND kind = ANY($5)",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(now + patience)
        .bind(now)
        .bind(GateKind::names(&PROBED))
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(claimed > 0)
    }

    /// Opens the gates that a fault of `sync_type` had closed, after a call succeeded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_fault_gates(&self, sync_type: &str) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query(
            "DELETE FROM gate
             WHERE portal = $1 AND sync_type IN ('', $2) AND kind = ANY($3)",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(GateKind::names(&[Opens::ByCall]))
        .execute(&mut *tx)
        .await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Opens one gate that applies to all object kinds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_gate(&self, kind: GateKind) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query("DELETE FROM gate WHERE portal = $1 AND sync_type = '' AND kind = $2")
            .bind(self.portal())
            .bind(kind.as_str())
            .execute(&mut *tx)
            .await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Returns the gates that are closed at `now`, and those that wait for a probe.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gates(&self, now: DateTime<Utc>) -> Result<Vec<Gate>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT sync_type, kind, code, reason, hint, closed_at, until FROM gate
             WHERE portal = $1 AND (until IS NULL OR until > $2 OR kind = ANY($3))
             ORDER BY closed_at, kind",
        )
        .bind(self.portal())
        .bind(now)
        .bind(GateKind::names(&PROBED))
        .fetch_all(&self.pool)
        .await?)
    }

    /// Pauses sending, on behalf of a person.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pause(
        &self,
        actor: &str,
        reason: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let closure = Closure {
            reason: reason.unwrap_or("paused by a person").to_owned(),
            hint: Some("resume with POST /admin/sync/resume or `hubferry queue resume`".into()),
            ..Closure::default()
        };
        let mut tx = begin(&self.pool).await?;
        close(&mut tx, self.portal(), GateKind::Paused, &closure, None, now).await?;
        audit::record(
            &mut tx,
            self.portal(),
            now,
            actor,
            "pause",
            None,
            json!({ "reason": reason }),
        )
        .await?;
        Ok(tx.commit().await?)
    }

    /// Opens the gates that a person may open: the pause, and gates for a fault. A gate for a fault
    /// closes again if the fault is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, actor: &str, now: DateTime<Utc>) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query("DELETE FROM gate WHERE portal = $1 AND kind = ANY($2)")
            .bind(self.portal())
            .bind(GateKind::names(&[Opens::ByPerson, Opens::ByCall, Opens::ByCalls]))
            .execute(&mut *tx)
            .await?;
        audit::record(&mut tx, self.portal(), now, actor, "resume", None, json!({})).await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

async fn close(
    db: &mut PgConnection,
    portal: &str,
    kind: GateKind,
    closure: &Closure,
    until: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Result<(), QueueError> {
    sqlx::query(
        "INSERT INTO gate AS g (portal, sync_type, kind, code, reason, hint, closed_at, until)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (portal, sync_type, kind) DO UPDATE
             SET code = excluded.code, reason = excluded.reason, hint = excluded.hint,
                 until = CASE WHEN excluded.until IS NULL OR g.until IS NULL THEN NULL
                              ELSE GREATEST(g.until, excluded.until) END",
    )
    .bind(portal)
    .bind(closure.sync_type.as_deref().unwrap_or(""))
    .bind(kind.as_str())
    .bind(&closure.code)
    .bind(&closure.reason)
    .bind(&closure.hint)
    .bind(now)
    .bind(until)
    .execute(db)
    .await?;
    Ok(())
}
