//! Who did what: every verb of a person leaves a line.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use super::QueueError;

/// Writes the line in the transaction of the deed.
pub(super) async fn record(
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
