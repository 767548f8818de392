//! Delivers a batch of records that are due to be created or updated, with one call at most.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use rand::Rng as _;

use crate::engine::plan::{Need, Planned, input, plan};
use crate::engine::verdict::{self, Terms};
use crate::hubspot::Failure;
use crate::hubspot::batch::Input;
use crate::mapping::ObjectKind;
use crate::queue::delivery::settle::{RowVerdict, Settlement};
use crate::queue::model::{BY_KEY, Lease, NOT_BY_KEY, READ_AHEAD, Reason, Stage};
use crate::worker::deliveries::isolate::Isolation;
use crate::worker::permit::Permit;
use crate::worker::step::{Delivered, StepError, Work};
use crate::worker::{SETTLE_MARGIN, Worker};

/// A record that will be written.
pub(in crate::worker) struct Writing {
    pub(in crate::worker) planned: Planned,
    pub(in crate::worker) input: Input,
}

/// A lease with the latest instant at which a call may be sent under it, on this process's clock.
pub(in crate::worker) struct Held {
    pub(in crate::worker) lease: Lease,
    pub(in crate::worker) until: Instant,
}

impl Held {
    /// Whether a call may still be sent on `permit`, and can end and be settled within the lease.
    pub(in crate::worker) fn lasts(&self, permit: &Permit) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        permit.lasts() && left > permit.timeout() + SETTLE_MARGIN
    }
}

impl Worker {
    /// Plans the batch, settles the records that need no call, and sends the others.
    pub(in crate::worker) async fn deliver(&self, work: Work<'_>) -> Result<Delivered, StepError> {
        let Work { batch, leased_at, object, permit, probing } = work;
        let held = Held { lease: batch.lease, until: leased_at + self.settings.lease };
        let terms = self.terms(object, self.now().await?, probing);
        let (mut writing, mut settled) = (Vec::new(), Vec::new());
        let definitions = self.definitions.of(&object.sync_type);
        let namespace = self.settings.namespace.as_deref();
        for record in batch.records {
            let planned = plan(&self.mapping, object, definitions.as_deref(), record);
            for (_, reason) in &planned.refused {
                self.definitions.doubt(&object.sync_type, &reason.code);
            }
            match &planned.need {
                Need::Nothing => settled.push(verdict::unchanged(&planned, terms)),
                Need::Missing(_) if planned.record.resolve.as_deref() != Some(NOT_BY_KEY) => {
                    let mut settlement = verdict::base(&planned);
                    settlement.resolve = Some(Some(BY_KEY.into()));
                    settled.push(settlement);
                }
                Need::Missing(lacking) => {
                    let wait = self.settings.wait_create;
                    settled.push(verdict::missing(&planned, lacking, wait, terms));
                }
                Need::Write(properties) => {
                    let input = input(object, batch.stage, namespace, &planned.record, properties);
                    writing.push(Writing { planned, input });
                }
                Need::Clear(property) => {
                    let cleared = BTreeMap::from([(property.clone(), String::new())]);
                    let input = input(object, batch.stage, namespace, &planned.record, &cleared);
                    writing.push(Writing { planned, input });
                }
            }
        }
        if batch.stage == Stage::Create && self.conflicts.read_ahead() {
            let (ahead, rest): (Vec<_>, Vec<_>) =
                writing.into_iter().partition(|w| wants_reading(object, &w.planned));
            settled.extend(ahead.iter().map(|w| {
                let mut settlement = verdict::base(&w.planned);
                settlement.resolve = Some(Some(READ_AHEAD.into()));
                settlement
            }));
            writing = rest;
        }
        self.settle(&held.lease, &settled, None).await?;
        if writing.is_empty() {
            return Ok(Delivered::without_call(permit));
        }
        let (stage, parts) = (batch.stage, vec![writing]);
        self.isolate(Isolation { object, stage, probing, held, parts, bad: 0 }, permit).await
    }

    /// Collects what settlements at this moment depend on.
    pub(in crate::worker) fn terms<'a>(
        &'a self,
        object: &'a ObjectKind,
        now: DateTime<Utc>,
        probing: bool,
    ) -> Terms<'a> {
        let probe = probing.then_some(self.settings.breaker.rest);
        Terms { object, retry: &self.settings.retry, now, dice: rand::rng().random(), probe }
    }

    /// Settles the records, and logs if another worker holds some of them by now.
    pub(in crate::worker) async fn settle(
        &self,
        lease: &Lease,
        settlements: &[Settlement],
        call: Option<i64>,
    ) -> Result<(), StepError> {
        if settlements.is_empty() {
            return Ok(());
        }
        let now = self.now().await?;
        let settled = self.queue.settle(lease, settlements, call, now).await?;
        if settled.fenced > 0 {
            metrics::counter!("hubferry_fenced_total").increment(settled.fenced as u64);
            tracing::warn!(
                lease.token = lease.token,
                records = settled.fenced,
                "records were leased by somebody else meanwhile; they are sent whole again"
            );
        }
        self.tell_failures(settlements, call).await;
        Ok(())
    }

    /// Logs one line for each row that did not succeed, with the trace that its sender gave.
    async fn tell_failures(&self, settlements: &[Settlement], call: Option<i64>) {
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
        let traces = self.queue.traces(&ids).await.unwrap_or_default();
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
}

/// Whether HubSpot may have the record by its e-mail address, and was not asked yet.
fn wants_reading(object: &ObjectKind, planned: &Planned) -> bool {
    let email = object.email_property.as_ref().and_then(|name| planned.folded.properties.get(name));
    matches!(planned.record.resolve.as_deref(), None | Some(NOT_BY_KEY))
        && email.is_some_and(|email| !email.value.is_empty())
}

/// The failure for a record that the reply does not mention.
pub(in crate::worker) fn unanswered() -> Failure {
    let mut failure =
        Failure::lost("UNANSWERED", "HubSpot's reply does not speak of this record".into(), true);
    failure.hint = Some("nothing to do: it is sent again".into());
    failure
}
