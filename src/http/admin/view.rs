//! Rows as JSON.

use serde_json::{Value, json};

use crate::queue::list::RowView;

/// A row, in the shape of the contract.
#[must_use]
pub fn row(row: &RowView, max_retries: i32) -> Value {
    json!({
        "id": row.id.to_string(),
        "event_id": row.event_id,
        "event_type": row.event_type,
        "sync_type": row.sync_type,
        "external_id": row.external_id,
        "status": row.status,
        "priority": match row.priority { 0 => "high", 1 => "normal", _ => "low" },
        "retry_count": row.retry_count,
        "max_retries": max_retries,
        "created_at": row.created_at,
        "scheduled_at": row.scheduled_at,
        "processed_at": row.processed_at,
        "discarded_at": row.discarded_at,
        "waiting_for": row.waiting_reason,
        "warnings": row.warnings.clone().unwrap_or_else(|| json!([])),
        "error": error(row),
    })
}

/// Why a row failed or is retried; `null` when neither.
#[must_use]
pub fn error(row: &RowView) -> Value {
    let Some(code) = &row.error_code else { return Value::Null };
    json!({
        "code": code,
        "property": row.error_property,
        "message": row.error_message,
        "hint": row.error_hint,
        "correlation_id": row.error_correlation_id,
        "http_status": row.error_http_status,
    })
}
