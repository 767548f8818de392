//! The history of a row, in the order of events.

use chrono::{DateTime, Utc};

use crate::http::dashboard::layout::page::Visitor;
use crate::http::dashboard::layout::when::{When, millis};
use crate::operator::views::{AttemptView, RowDetail};

/// One step in the history.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Step {
    pub(in crate::http::dashboard) tone: &'static str,
    pub(in crate::http::dashboard) title: String,
    pub(in crate::http::dashboard) at: When,
    pub(in crate::http::dashboard) texts: Vec<String>,
    pub(in crate::http::dashboard) facts: Vec<(&'static str, String)>,
}

/// Returns the steps of a row. Future steps come last.
pub(in crate::http::dashboard) fn timeline(detail: &RowDetail, visitor: &Visitor) -> Vec<Step> {
    let (row, record) = (&detail.row, &detail.record);
    let step = |tone, title: &str, at: DateTime<Utc>| Step {
        tone,
        title: title.to_owned(),
        at: visitor.full(at),
        texts: Vec::new(),
        facts: Vec::new(),
    };
    let mut steps = vec![step("", "Event happened", row.occurred_at)];
    steps.push(step("info", "Accepted", row.created_at));
    for (i, tried) in detail.attempts.iter().enumerate() {
        steps.push(attempt(i + 1, tried, visitor));
    }
    match row.status.as_str() {
        "processing" => {
            let mut held = step("info", "Leased", visitor.now);
            held.texts
                .extend(record.lease_holder.as_ref().map(|w| format!("Worker {w} is sending it.")));
            if let Some(until) = record.lease_until {
                held.at = visitor.full(until);
                held.title = "Leased until".into();
            }
            steps.push(held);
        }
        "synced" => {
            if let Some(at) = row.processed_at {
                let mut done = step("good", "Synced", at);
                done.facts.extend(row.call_id.map(|call| ("call", call.to_string())));
                let lasted = (at - row.created_at).num_milliseconds();
                done.facts.push(("from acceptance", millis(lasted.max(0))));
                steps.push(done);
            }
        }
        "failed" => {
            let at = row.processed_at.unwrap_or(row.created_at);
            let mut failed = step("bad", "Failed", at);
            failed.texts.extend(row.error_message.clone());
            failed.texts.extend(row.error_hint.as_ref().map(|hint| format!("What to do: {hint}")));
            failed.facts.extend(row.error_code.clone().map(|code| ("code", code)));
            failed.facts.extend(row.error_property.clone().map(|name| ("property", name)));
            failed.facts.extend(row.error_http_status.map(|s| ("HTTP", s.to_string())));
            failed.facts.extend(row.error_correlation_id.clone().map(|id| ("correlation id", id)));
            steps.push(failed);
        }
        _ => {
            if row.written {
                let at = record.synced_at.unwrap_or(row.created_at);
                steps.push(step("good", "Properties written, an association is missing", at));
            }
            if let Some(at) = row.scheduled_at {
                let title = if at > visitor.now { "Scheduled" } else { "Due" };
                steps.push(step("", title, at));
            }
        }
    }
    if let Some(at) = row.discarded_at {
        steps.push(step("", "Discarded", at));
    }
    steps
}

fn attempt(number: usize, tried: &AttemptView, visitor: &Visitor) -> Step {
    let mut texts = vec![tried.message.clone()];
    texts.extend(tried.hint.as_ref().map(|hint| format!("What to do: {hint}")));
    if !tried.counted {
        texts.push("Not counted, because it was an outage of HubSpot.".into());
    }
    let mut facts = vec![("class", tried.class.clone()), ("code", tried.code.clone())];
    facts.extend(tried.property.clone().map(|name| ("property", name)));
    facts.extend(tried.http_status.map(|status| ("HTTP", status.to_string())));
    facts.extend(tried.duration_ms.map(|ms| ("took", millis(ms.into()))));
    facts.extend(tried.call_id.map(|call| ("call", call.to_string())));
    facts.extend(tried.correlation_id.clone().map(|id| ("correlation id", id)));
    Step {
        tone: if tried.counted { "bad" } else { "" },
        title: format!("Attempt {number}"),
        at: visitor.full(tried.attempted_at),
        texts,
        facts,
    }
}
