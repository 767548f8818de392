//! Why nothing is sent: closed by a person, by HubSpot's answers, or by a spent quota.
//!
//! One line a reason, shared by all replicas. Quota lines end by themselves. Those that stand for
//! a fault stay after their time and let one record through to see whether it is mended.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use sqlx::PgConnection;

use crate::queue::audit;
use crate::queue::doubt::begin;
use crate::queue::intake::notify::notify;
use crate::queue::{PORTAL, Queue, QueueError};

/// Which kind of reason closes a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// A person paused it.
    Paused,
    /// The token belongs to another account than the links.
    Account,
    /// The rolling window, by HubSpot's word.
    Window,
    /// The day's quota.
    Daily,
    /// The last of the day's quota, kept for high priority: the others wait.
    Reserve,
    /// HubSpot locks what is written too often.
    Locked,
    /// The account moves between data centres.
    Migrating,
    /// The token is refused.
    Credentials,
    /// The token lacks a scope.
    Scope,
    /// A property that the mapping names is missing.
    Schema,
}

impl GateKind {
    /// The word in the table and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Account => "account",
            Self::Window => "window",
            Self::Daily => "daily",
            Self::Reserve => "reserve",
            Self::Locked => "locked",
            Self::Migrating => "migrating",
            Self::Credentials => "credentials",
            Self::Scope => "scope",
            Self::Schema => "schema",
        }
    }
}

/// A closed gate.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Gate {
    /// The object kind, or empty for all.
    pub sync_type: String,
    /// The kind of reason.
    pub kind: String,
    /// HubSpot's word, where it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Since when.
    pub closed_at: DateTime<Utc>,
    /// Until when; `None`: until a person opens it. See [`Gate::is_probed`].
    pub until: Option<DateTime<Utc>>,
}

impl Gate {
    /// Whether its end opens nothing: one record is tried then, and the gate opens if HubSpot takes it.
    #[must_use]
    pub fn is_probed(&self) -> bool {
        matches!(&*self.kind, "account" | "credentials" | "scope" | "schema" | "breaker")
    }
}

/// The words of a closed gate.
#[derive(Debug, Clone, Default)]
pub struct Closure {
    /// The object kind; `None`: all.
    pub sync_type: Option<String>,
    /// HubSpot's word, where it gave one.
    pub code: Option<String>,
    /// The reason as a sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Queue {
    /// Closes the gate until `until`, or until a person opens it. A later end wins.
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
        close(&mut db, kind, closure, until, now).await
    }

    /// Takes the right to probe the gates of `sync_type` whose time is up: nobody else may until
    /// `now + patience`. `false`: somebody else is at it.
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
             WHERE portal = $1 AND sync_type IN ('', $2) AND until <= $4
               AND kind IN ('account', 'credentials', 'scope', 'schema', 'breaker')",
        )
        .bind(PORTAL)
        .bind(sync_type)
        .bind(now + patience)
        .bind(now)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(claimed > 0)
    }

    /// Opens the gates that stand for a fault of `sync_type`, after a call went through.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mended(&self, sync_type: &str) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query(
            "DELETE FROM gate WHERE portal = $1 AND sync_type IN ('', $2)
               AND kind IN ('credentials', 'scope', 'schema')",
        )
        .bind(PORTAL)
        .bind(sync_type)
        .execute(&mut *tx)
        .await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// Opens one gate of the whole portal.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open_gate(&self, kind: GateKind) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query("DELETE FROM gate WHERE portal = $1 AND sync_type = '' AND kind = $2")
            .bind(PORTAL)
            .bind(kind.as_str())
            .execute(&mut *tx)
            .await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }

    /// The gates that are closed at `now`, and those that wait for a probe.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn gates(&self, now: DateTime<Utc>) -> Result<Vec<Gate>, QueueError> {
        Ok(sqlx::query_as(
            "SELECT sync_type, kind, code, reason, hint, closed_at, until FROM gate
             WHERE portal = $1 AND (until IS NULL OR until > $2
                   OR kind IN ('account', 'credentials', 'scope', 'schema', 'breaker'))
             ORDER BY closed_at, kind",
        )
        .bind(PORTAL)
        .bind(now)
        .fetch_all(&self.pool)
        .await?)
    }

    /// Pauses sending, by a person.
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
            hint: Some("resume with POST /admin/sync/resume or `hubferry resume`".into()),
            ..Closure::default()
        };
        let mut tx = begin(&self.pool).await?;
        close(&mut tx, GateKind::Paused, &closure, None, now).await?;
        audit::record(&mut tx, now, actor, "pause", None, json!({ "reason": reason })).await?;
        Ok(tx.commit().await?)
    }

    /// Opens what a person may open: the pause, and the gates that stand for a fault, which close
    /// again if it is still there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self, actor: &str, now: DateTime<Utc>) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query(
            "DELETE FROM gate
             WHERE portal = $1 AND kind IN ('paused', 'credentials', 'scope', 'schema', 'breaker')",
        )
        .bind(PORTAL)
        .execute(&mut *tx)
        .await?;
        audit::record(&mut tx, now, actor, "resume", None, json!({})).await?;
        notify(&mut tx).await?;
        Ok(tx.commit().await?)
    }
}

async fn close(
    db: &mut PgConnection,
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
    .bind(PORTAL)
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
