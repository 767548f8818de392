//! The audit log records who did what: every action of a person writes a line.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::queue::views::page::{Listing, Page};
use crate::queue::{Queue, QueueError};

/// The name of a record in the audit. It uses the internal number, because an external id may be an
/// e-mail address.
#[must_use]
pub fn record_target(sync_type: &str, record: i64) -> String {
    format!("{sync_type} record {record}")
}

/// One line of the audit log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AuditLine {
    /// Its number.
    pub id: i64,
    /// When the action happened.
    pub at: DateTime<Utc>,
    /// Who did it: the name of a key, or `application` for an erasure that an event requested.
    pub actor: String,
    /// What was done: `retry`, `discard`, `pause` …
    pub action: String,
    /// What the action changed.
    pub target: Option<String>,
    /// Further details.
    pub details: Option<Value>,
}

/// Selects audit lines. An absent field matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// The action.
    pub action: Option<String>,
    /// The person or program that did it.
    pub actor: Option<String>,
}

/// The portal of an audit line about the whole service.
pub const SERVICE: &str = "";

/// Writes an audit line in the transaction of the action.
pub(in crate::queue) async fn record(
    db: &mut PgConnection,
    portal: &str,
    now: DateTime<Utc>,
    actor: &str,
    action: &str,
    target: Option<&str>,
    details: Value,
) -> Result<(), QueueError> {
    sqlx::query(
        "INSERT INTO audit (portal, at, actor, action, target, details)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(portal)
    .bind(now)
    .bind(actor)
    .bind(action)
    .bind(target)
    .bind(details)
    .execute(db)
    .await?;
    Ok(())
}

impl Queue {
    /// Returns a page of the audit log.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audits(
        &self,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Listing<AuditLine>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new(
            "SELECT id, at, actor, action, target, details FROM audit WHERE portal IN ('', ",
        );
        query.push_bind(self.portal().to_owned()).push(")");
        if let Some(action) = &filter.action {
            query.push(" AND action = ").push_bind(action.clone());
        }
        if let Some(actor) = &filter.actor {
            query.push(" AND actor = ").push_bind(actor.clone());
        }
        page.end(&mut query, "id");
        let found = query.build_query_as().fetch_all(&self.pool).await?;
        Ok(Listing::of(found, page, |line: &AuditLine| line.id))
    }

    /// Writes an audit line for an action that changes nothing in the queue, such as viewing a
    /// payload. `db` is the transaction of the action, if it has one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note(
        &self,
        now: DateTime<Utc>,
        actor: &str,
        action: &str,
        target: Option<&str>,
        details: Value,
    ) -> Result<(), QueueError> {
        let mut db = self.pool.acquire().await?;
        record(&mut db, self.portal(), now, actor, action, target, details).await
    }

    /// Records that a program has read the values of `targets`, such as `row 41`. It writes one
    /// line for each target, unless the same key has read it within the last hour.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_reads(
        &self,
        now: DateTime<Utc>,
        actor: &str,
        targets: &[String],
    ) -> Result<(), QueueError> {
        sqlx::query(
            "INSERT INTO audit (portal, at, actor, action, target, details)
             SELECT $4, $1, $2, 'reveal', t.target, '{\"by\": \"api\"}'
             FROM UNNEST($3::text[]) AS t (target)
             WHERE NOT EXISTS (
                 SELECT 1 FROM audit a
                 WHERE a.portal = $4 AND a.action = 'reveal' AND a.target = t.target AND a.actor = $2
                   AND a.at > $1 - interval '1 hour')",
        )
        .bind(now)
        .bind(actor)
        .bind(targets)
        .bind(self.portal())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Writes an audit line about the whole service, in the transaction of an action on tables
    /// outside the queue.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_in(
        db: &mut PgConnection,
        now: DateTime<Utc>,
        actor: &str,
        action: &str,
        target: Option<&str>,
        details: Value,
    ) -> Result<(), QueueError> {
        record(db, SERVICE, now, actor, action, target, details).await
    }
}
