//! Explains why one row is waiting, in sentences. The most immediate reason comes first.

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::queue::gates::gate::Gate;
use crate::queue::views::inspect::RowDetail;
use crate::queue::{Queue, QueueError};

/// One reason why a row, or something that belongs to it, is not in HubSpot yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Why {
    /// A stable code: `held`, `gate`, `missing`, `scheduled`, `line`, `association`, `failed` …
    pub code: &'static str,
    /// The reason as a sentence.
    pub text: String,
    /// When the reason ends by itself.
    pub until: Option<DateTime<Utc>>,
}

impl Why {
    fn new(code: &'static str, text: String, until: Option<DateTime<Utc>>) -> Self {
        Self { code, text, until }
    }
}

/// Records ahead of this one are counted up to this number.
const LONGEST_LINE: i64 = 100_000;

impl Queue {
    /// Returns why the row of `detail` waits at `now`. Empty if nothing of the row is outstanding.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn why(
        &self,
        detail: &RowDetail,
        now: DateTime<Utc>,
    ) -> Result<Vec<Why>, QueueError> {
        let open = matches!(detail.row.status.as_str(), "pending" | "processing" | "retry");
        let gates = if open { self.gates(now).await? } else { Vec::new() };
        let due = open && detail.record.lease_holder.is_none() && detail.record.due_at <= Some(now);
        let ahead = if due { self.ahead_of(detail.record.id).await? } else { 0 };
        Ok(reasons(detail, &gates, ahead, now))
    }

    /// Counts the due records that are sent before this one.
    async fn ahead_of(&self, record: i64) -> Result<i64, QueueError> {
        Ok(sqlx::query_scalar(
            "SELECT count(*) FROM (
                 SELECT 1 FROM crm_record r JOIN crm_record o
                   ON o.portal = r.portal AND o.due_at IS NOT NULL AND NOT o.deferred
                      AND (o.rank, o.id) < (r.rank, r.id)
                 WHERE r.id = $1 AND r.portal = $2 LIMIT $3) AS line",
        )
        .bind(record)
        .bind(self.portal())
        .bind(LONGEST_LINE)
        .fetch_one(&self.pool)
        .await?)
    }
}

/// Computes the reasons. Pure.
fn reasons(detail: &RowDetail, gates: &[Gate], ahead: i64, now: DateTime<Utc>) -> Vec<Why> {
    let (row, record) = (&detail.row, &detail.record);
    let mut found = Vec::new();
    match row.status.as_str() {
        "pending" | "processing" | "retry" => open(detail, gates, ahead, now, &mut found),
        "failed" if row.discarded_at.is_none() => {
            let hint = row.error_hint.as_deref().unwrap_or("look at the error and retry it");
            found.push(Why::new("failed", format!("it waits for a person: {hint}"), None));
        }
        _ => {}
    }
    // Without a link, the record itself is what waits.
    for slot in detail.associations.iter().filter(|_| record.hubspot_id.is_some()) {
        let kind = slot.target_type.as_deref().unwrap_or("record");
        let target = slot.target.as_deref().unwrap_or("no record");
        let text = match slot.state.as_str() {
            "parked" => format!(
                "its association `{}` waits for {kind} {target} to exist in HubSpot; it is made as soon as that is there",
                slot.slot
            ),
            "due" => {
                format!("its association `{}` to {kind} {target} is to be made next", slot.slot)
            }
            "refused" => format!(
                "HubSpot refused its association `{}` to {kind} {target}: retry the row, or send another target",
                slot.slot
            ),
            _ => continue,
        };
        found.push(Why::new("association", text, None));
    }
    found
}

fn open(detail: &RowDetail, gates: &[Gate], ahead: i64, now: DateTime<Utc>, found: &mut Vec<Why>) {
    let (row, record) = (&detail.row, &detail.record);
    if let Some(holder) = &record.lease_holder {
        let text = if row.status == "processing" {
            format!("held by worker {holder}, which is sending it")
        } else {
            format!("it came while worker {holder} holds its record, and goes right after")
        };
        found.push(Why::new("held", text, record.lease_until));
        return;
    }
    for gate in gates.iter().filter(|g| g.sync_type.is_empty() || g.sync_type == row.sync_type) {
        // The day's last calls are reserved for rows of high priority.
        if gate.kind == "reserve" && row.priority == 0 {
            continue;
        }
        let hint = gate.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
        // A probed gate does not open when its time is over. Another record may be tried then.
        let (probed, until) = (gate.is_probed(), gate.until.filter(|until| *until > now));
        let tried =
            if probed { "; it opens once HubSpot takes a record that is tried" } else { "" };
        let text = format!("behind the closed gate `{}`: {}{hint}{tried}", gate.kind, gate.reason);
        found.push(Why::new("gate", text, until.filter(|_| !probed)));
    }
    if let (Some(reason), Some(until)) = (&record.waiting_reason, record.waiting_until) {
        let text = format!("{reason}; without it the row fails");
        found.push(Why::new("missing", text, Some(until)));
    } else if let Some(due) = record.due_at.filter(|due| *due > now) {
        let text = match row.retry_count {
            0 => "scheduled: its record backs off after a failure, and rows that came since wait with it".into(),
            n => format!("scheduled after attempt {n}, which failed"),
        };
        found.push(Why::new("scheduled", text, Some(due)));
    } else if record.due_at.is_some() && found.is_empty() {
        let text = match ahead {
            0 => "next in line: it goes as soon as a worker has a place in the quota".into(),
            LONGEST_LINE => format!("in line behind more than {LONGEST_LINE} records"),
            n => format!("in line behind {n} records, a hundred of which go with one call"),
        };
        found.push(Why::new("line", text, None));
    } else if row.written && found.is_empty() {
        let text = "its properties stand in HubSpot; an association is still owed".into();
        found.push(Why::new("written", text, None));
    }
}
