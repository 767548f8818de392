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
use crate::queue::intake::notify::notify;
use crate::queue::{Queue, QueueError};

/// The kind of reason that closes a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateKind {
    /// A person paused sending.
    Paused,
    /// The token belongs to an account other than the linked one.
    Account,
    /// HubSpot says that the rolling window's rate limit is exceeded.
    Window,
    /// The daily quota is spent.
    Daily,
    /// The last of the daily quota is reserved for rows of high priority. Other rows wait.
    Reserve,
    /// HubSpot has locked something that was written too often.
    Locked,
    /// HubSpot is moving the account between data centres.
    Migrating,
    /// HubSpot refuses the token.
    Credentials,
    /// The token lacks a scope.
    Scope,
    /// HubSpot lacks a property that the mapping names.
    Schema,
}

impl GateKind {
    /// The name in the table and in API responses.
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
        matches!(&*self.kind, "account" | "credentials" | "scope" | "schema" | "breaker")
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
             WHERE portal = $1 AND sync_type IN ('', $2) AND until <= $4
               AND kind IN ('account', 'credentials', 'scope', 'schema', 'breaker')",
        )
        .bind(self.portal())
        .bind(sync_type)
        .bind(now + patience)
        .bind(now)
        .execute(&self.pool)
        .await?
        .rows_affected();
        Ok(claimed > 0)
    }

    /// Opens the gates that a fault of `sync_type` had closed, after a call succeeded.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn mended(&self, sync_type: &str) -> Result<(), QueueError> {
        let mut tx = begin(&self.pool).await?;
        sqlx::query(
            "DELETE FROM gate WHERE portal = $1 AND sync_type IN ('', $2)
               AND kind IN ('credentials', 'scope', 'schema')",
        )
        .bind(self.portal())
        .bind(sync_type)
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
             WHERE portal = $1 AND (until IS NULL OR until > $2
                   OR kind IN ('account', 'credentials', 'scope', 'schema', 'breaker'))
             ORDER BY closed_at, kind",
        )
        .bind(self.portal())
        .bind(now)
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
        sqlx::query(
            "DELETE FROM gate
             WHERE portal = $1 AND kind IN ('paused', 'credentials', 'scope', 'schema', 'breaker')",
        )
        .bind(self.portal())
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
