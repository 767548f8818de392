//! Who did what: every verb of a person leaves a line.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::{PgConnection, Postgres, QueryBuilder};

use crate::queue::views::page::{Listing, Page};
use crate::queue::{Queue, QueueError};

/// How the audit names a record: by our number, since an external id may be an address.
#[must_use]
pub fn record_target(sync_type: &str, record: i64) -> String {
    format!("{sync_type} record {record}")
}

/// What somebody did.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct AuditLine {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: the name of a key, or `application` for an erasure that an event asked for.
    pub actor: String,
    /// What: `retry`, `discard`, `pause` …
    pub action: String,
    /// To what.
    pub target: Option<String>,
    /// More of it.
    pub details: Option<Value>,
}

/// Which lines; an absent field means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// What was done.
    pub action: Option<String>,
    /// By whom.
    pub actor: Option<String>,
}

/// Writes the line in the transaction of the deed.
pub(in crate::queue) async fn record(
    db: &mut PgConnection,
    now: DateTime<Utc>,
    actor: &str,
    action: &str,
    target: Option<&str>,
    details: Value,
) -> Result<(), QueueError> {
    sqlx::query(
        "INSERT INTO audit (at, actor, action, target, details) VALUES ($1, $2, $3, $4, $5)",
    )
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
    /// A page of the audit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audits(
        &self,
        filter: &AuditFilter,
        page: &Page,
    ) -> Result<Listing<AuditLine>, QueueError> {
        let mut query = QueryBuilder::<Postgres>::new(
            "SELECT id, at, actor, action, target, details FROM audit WHERE true",
        );
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

    /// Notes a deed that changes nothing in the queue, such as looking at a payload. `db` is the
    /// transaction of the deed, where it has one.
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
        record(&mut db, now, actor, action, target, details).await
    }

    /// Notes that a program has read the values of `targets`, such as `row 41`: a line for each, unless
    /// the same key has looked at it within the hour.
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
            "INSERT INTO audit (at, actor, action, target, details)
             SELECT $1, $2, 'reveal', t.target, '{\"by\": \"api\"}'
             FROM UNNEST($3::text[]) AS t (target)
             WHERE NOT EXISTS (
                 SELECT 1 FROM audit a
                 WHERE a.action = 'reveal' AND a.target = t.target AND a.actor = $2
                   AND a.at > $1 - interval '1 hour')",
        )
        .bind(now)
        .bind(actor)
        .bind(targets)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes a deed within its transaction, on tables that are not the queue's.
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
        record(db, now, actor, action, target, details).await
    }
}
