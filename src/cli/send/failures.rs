//! Events that HubSpot did not accept: one line each for people, and in the summary for programs.

use serde_json::{Value, json};

use super::watched::Watched;
use crate::cli::text;

/// The most events that are printed, and failures in the summary. The dashboard has all of them.
const TOLD: u64 = 50;
const KEPT: usize = 1_000;

/// Why a row of an event failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    record: String,
    code: String,
    message: String,
    hint: String,
}

impl Failure {
    /// Of a row as the server shows it.
    pub(super) fn of(row: &Value) -> Self {
        let word = |value: &Value| text::plain(value.as_str().unwrap_or_default(), 300);
        let record = format!("{} {}", word(&row["sync_type"]), word(&row["external_id"]));
        let error = &row["error"];
        Self {
            record,
            code: word(&error["code"]),
            message: word(&error["message"]),
            hint: word(&error["hint"]),
        }
    }
}

/// Counts failed events, and keeps the first of them.
#[derive(Debug, Default)]
pub(super) struct Failures {
    events: u64,
    kept: Vec<Value>,
}

impl Failures {
    /// Notes that an event failed and returns the lines to print.
    pub(super) fn add(&mut self, event: &Watched, failures: &[Failure]) -> Vec<String> {
        self.events += 1;
        let (told, mut lines) = (self.events <= TOLD, Vec::new());
        for failure in failures {
            let Failure { record, code, message, hint } = failure;
            if told {
                let hint = if hint.is_empty() { String::new() } else { format!("; {hint}") };
                lines.push(format!(
                    "line {}: {record} failed: {message} ({code}){hint}",
                    event.line
                ));
            }
            if self.kept.len() < KEPT {
                self.kept.push(json!({ "line": event.line, "event_id": event.id,
                    "record": record, "code": code, "message": message, "hint": hint }));
            }
        }
        lines
    }

    /// How many events failed.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// How many failed events were not printed.
    pub(super) fn silent(&self) -> u64 {
        self.events.saturating_sub(TOLD)
    }

    /// The first of them, for programs.
    pub(super) fn kept(&self) -> &[Value] {
        &self.kept
    }
}
