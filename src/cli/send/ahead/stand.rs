//! How far an event is, by its rows.

use serde_json::Value;

use crate::cli::send::failures::Failure;

/// How far an event is.
#[derive(Debug, PartialEq)]
pub(in crate::cli::send) enum Stand {
    Done,
    Failed(Vec<Failure>),
    /// It waits for another record or a value that has not arrived.
    Waits,
    /// It is retried.
    Retries,
    Open,
}

/// How far an event is by what the server says of it. It was stored, so if it is not known any more
/// it was done long ago.
pub(super) fn stand(event: &Value) -> Stand {
    let rows = event["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |row: &Value, status: &str| row["status"] == status;
    let open: Vec<&Value> =
        rows.iter().filter(|row| !is(row, "synced") && !is(row, "failed")).collect();
    let failures: Vec<Failure> =
        rows.iter().filter(|row| is(row, "failed")).map(Failure::of).collect();
    let waits = |row: &Value| !row["waiting_for"].is_null();
    if open.iter().any(|row| !waits(row) && !is(row, "retry")) {
        Stand::Open
    } else if open.iter().any(|row| !waits(row)) {
        Stand::Retries
    } else if !failures.is_empty() {
        Stand::Failed(failures)
    } else if open.is_empty() {
        Stand::Done
    } else {
        Stand::Waits
    }
}
