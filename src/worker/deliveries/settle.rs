//! Stores results of records, and logs what failed.

use std::collections::BTreeMap;

use crate::engine::plan::Planned;
use crate::engine::verdict::{self, Terms};
use crate::hubspot::Failure;
use crate::queue::delivery::settlement::{Backoff, RowVerdict, Settlement};
use crate::queue::model::{Lease, Reason};
use crate::worker::Worker;
use crate::worker::deliveries::delivery::Settled;
use crate::worker::work::StepError;

impl Settled for Vec<Settlement> {
    fn is_empty(&self) -> bool {
        <[Settlement]>::is_empty(self)
    }

    async fn store(
        self,
        worker: &Worker,
        lease: &Lease,
        call: Option<i64>,
    ) -> Result<(), StepError> {
        let now = worker.now().await?;
        let settled = worker.portal.queue.settle(lease, &self, call, now).await?;
        if settled.fenced > 0 {
            metrics::counter!("hubferry_fenced_total").increment(settled.fenced as u64);
            tracing::warn!(
                lease.token = lease.token,
                records = settled.fenced,
                "another worker leased these records meanwhile; they are sent again as a whole"
            );
        }
        log_failures(worker, &self, call).await;
        Ok(())
    }
}

/// Logs one line for each row that did not succeed, with the trace that its sender gave.
async fn log_failures(worker: &Worker, settlements: &[Settlement], call: Option<i64>) {
    let rows = settlements.iter().flat_map(|settlement| &settlement.rows);
    let failures: Vec<(i64, &Reason, bool)> = rows
        .filter_map(|(row, verdict)| match verdict {
            RowVerdict::Failed(reason) => Some((*row, reason, true)),
            RowVerdict::Retry(reason) => Some((*row, reason, false)),
            RowVerdict::Written(_) => None,
        })
        .collect();
    if failures.is_empty() {
        return;
    }
    let ids: Vec<i64> = failures.iter().map(|(row, ..)| *row).collect();
    // If the database fails, the lines are logged without traces.
    let traces = worker.portal.queue.traces(&ids).await.unwrap_or_default();
    for (row, reason, last) in failures {
        tracing::info!(
            row,
            call,
            class = reason.class,
            code = reason.code,
            correlation.id = reason.correlation_id,
            trace.parent = traces.get(&row),
            "{}",
            if last { "a row failed" } else { "a row is retried" }
        );
    }
}

/// Releases a record unchanged.
pub(super) fn release(planned: &Planned) -> Settlement {
    Settlement::release(planned.record.id, planned.record.doubt)
}

/// Retries the record at once in a smaller batch, because one record of the batch was refused.
pub(super) fn smaller(planned: &Planned) -> Settlement {
    Settlement { backoff: Backoff::Smaller, ..release(planned) }
}

/// The failure for a record that the reply does not mention.
pub(super) fn unanswered() -> Failure {
    let mut failure =
        Failure::lost("UNANSWERED", "HubSpot's reply does not mention this record".into(), true);
    failure.hint = Some("nothing to do: it is sent again".into());
    failure
}

/// Settles a record that the reply does not mention, so it is not known whether HubSpot has it.
pub(super) fn unread(planned: &Planned, terms: Terms<'_>) -> Settlement {
    verdict::failed(planned, &BTreeMap::new(), &unanswered(), terms)
}
