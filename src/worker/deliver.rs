//! Sending a batch of records: one call, more only where a refused batch has to be isolated.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::Rng as _;

use super::permit::{NoPermit, Permit};
use super::plan::{Need, Planned, plan};
use super::step::{Delivered, StepError};
use super::verdict::{self, Terms};
use super::{SETTLE_MARGIN, Worker};
use crate::hubspot::batch::{self, Input, Verdict, Write};
use crate::hubspot::key::key;
use crate::hubspot::{Class, Failure};
use crate::mapping::ObjectKind;
use crate::queue::model::{Batch, Lease, Stage};
use crate::queue::settle::Settlement;

/// A refused batch costs at most so many calls, however many of its records are bad.
const MOST_CALLS: usize = 200;

/// A record that is to be written.
struct Work {
    planned: Planned,
    input: Input,
}

/// A lease with the instant until which a call may leave under it, on this process' clock.
pub(super) struct Held {
    pub(super) lease: Lease,
    pub(super) until: Instant,
}

impl Held {
    /// Whether a call of up to `timeout` ends, and can be settled, within the lease.
    pub(super) fn lasts(&self, timeout: Duration) -> bool {
        self.until.saturating_duration_since(Instant::now()) > timeout + SETTLE_MARGIN
    }
}

impl Worker {
    /// Delivers a batch that is due to be created or updated. Gives the permit back to the caller
    /// when no call was needed.
    pub(super) async fn deliver(
        &self,
        batch: Batch,
        leased_at: Instant,
        object: &ObjectKind,
        permit: Permit,
    ) -> Result<Delivered, StepError> {
        let until = leased_at + self.settings.lease;
        let mut held = Held { lease: batch.lease, until };
        let terms = Terms {
            object,
            retry: &self.settings.retry,
            now: self.now().await?,
            dice: rand::rng().random(),
        };
        let (mut work, mut settled) = (Vec::new(), Vec::new());
        for record in batch.records {
            let planned = plan(&self.mapping, object, record);
            match &planned.need {
                Need::Nothing => settled.push(verdict::unchanged(&planned, terms)),
                Need::Missing(lacking) => {
                    settled.push(verdict::missing(
                        &planned,
                        lacking,
                        self.settings.wait_create,
                        terms,
                    ));
                }
                Need::Write(properties) => {
                    let input = self.input(object, batch.stage, &planned, properties);
                    work.push(Work { planned, input });
                }
            }
        }
        if !settled.is_empty() {
            self.settle(&held.lease, &settled, None).await?;
        }
        if work.is_empty() {
            return Ok(Delivered { permit: Some(permit), calls: 0, closed: false });
        }
        let (calls, closed) = self.isolate(&mut held, object, batch.stage, work, permit).await?;
        Ok(Delivered { permit: None, calls, closed })
    }

    fn input(
        &self,
        object: &ObjectKind,
        stage: Stage,
        planned: &Planned,
        properties: &BTreeMap<String, String>,
    ) -> Input {
        let record = &planned.record;
        let key = key(self.settings.namespace.as_deref(), &record.external_id);
        let mut properties = properties.clone();
        properties.insert(object.key.clone(), key.clone());
        let id = match (stage, &record.hubspot_id) {
            (Stage::Update, Some(id)) => id.clone(),
            _ => key,
        };
        Input { trace: record.id.to_string(), id, properties }
    }

    /// Sends `work`; a batch that is refused as a whole is halved until the bad records stand
    /// alone. Every part is settled as soon as it has its verdicts. Answers the number of calls,
    /// and whether a failure closed the gate.
    async fn isolate(
        &self,
        held: &mut Held,
        object: &ObjectKind,
        stage: Stage,
        work: Vec<Work>,
        permit: Permit,
    ) -> Result<(usize, bool), StepError> {
        let (mut permit, mut calls) = (Some(permit), 0);
        let mut parts = vec![work];
        while let Some(mut part) = parts.pop() {
            let permit = match permit.take() {
                Some(permit) => permit,
                None => match self.further(held, &part).await? {
                    Some(permit) => permit,
                    // The lease is lost: what is left is the next holder's.
                    None => return Ok((calls, false)),
                },
            };
            if !held.lasts(self.client.timeout()) || !permit.lasts(self.client.timeout()) {
                self.permits.give_back(permit).await;
                let rest: Vec<Settlement> =
                    parts.iter().flatten().chain(&part).map(released).collect();
                self.settle(&held.lease, &rest, None).await?;
                return Ok((calls, false));
            }
            let inputs: Vec<Input> = part.iter().map(|w| w.input.clone()).collect();
            let (how, by) = match stage {
                Stage::Update => (Write::Update, None),
                _ => (Write::Upsert(&object.key), Some(object.key.as_str())),
            };
            let mut call = batch::write(self.client.version(), &object.plural, how, &inputs);
            call.sync_type = Some(object.sync_type.clone());
            let (number, answer) = self.permits.call(permit, call).await;
            calls += 1;
            match answer.result {
                Err(failure) if splits(&failure) && part.len() > 1 && calls < MOST_CALLS => {
                    let half = part.split_off(part.len() / 2);
                    parts.push(half);
                    parts.push(part);
                }
                result => {
                    let verdicts = match result {
                        Ok(body) => batch::verdicts(&inputs, by, &body),
                        Err(failure) => vec![Verdict::Refused(failure); inputs.len()],
                    };
                    let stop = self.conclude(held, object, &part, &verdicts, number).await?;
                    if stop {
                        let rest: Vec<Settlement> = parts.iter().flatten().map(released).collect();
                        self.settle(&held.lease, &rest, None).await?;
                        return Ok((calls, true));
                    }
                }
            }
        }
        Ok((calls, false))
    }

    /// A permit for a further call of the same lease, which is renewed for it.
    async fn further(&self, held: &mut Held, part: &[Work]) -> Result<Option<Permit>, StepError> {
        let permit = match self.permits.acquire().await {
            Ok(permit) => permit,
            Err(NoPermit::Queue(error)) => return Err(error.into()),
            Err(NoPermit::Spent | NoPermit::ShuttingDown) => {
                let rest: Vec<Settlement> = part.iter().map(released).collect();
                self.settle(&held.lease, &rest, None).await?;
                return Ok(None);
            }
        };
        let ids: Vec<i64> = part.iter().map(|w| w.planned.record.id).collect();
        let started = Instant::now();
        let now = self.now().await?;
        if !self.queue.renew(&mut held.lease, &ids, self.holder.ttl, now).await? {
            self.permits.give_back(permit).await;
            return Ok(None);
        }
        held.until = started + self.settings.lease;
        Ok(Some(permit))
    }

    /// Settles what has verdicts. Answers whether nothing more may be sent.
    async fn conclude(
        &self,
        held: &Held,
        object: &ObjectKind,
        part: &[Work],
        verdicts: &[Verdict],
        call: i64,
    ) -> Result<bool, StepError> {
        let terms = Terms {
            object,
            retry: &self.settings.retry,
            now: self.now().await?,
            dice: rand::rng().random(),
        };
        let mut settlements = Vec::with_capacity(part.len());
        let mut stop = false;
        for (work, verdict) in part.iter().zip(verdicts) {
            let (planned, sent) = (&work.planned, &work.input.properties);
            settlements.push(match verdict {
                Verdict::Written(shown) => verdict::written(planned, sent, shown, terms),
                Verdict::Refused(failure) => {
                    stop |= self.close_for(&object.sync_type, failure, terms.now).await?;
                    verdict::failed(planned, sent, failure, terms)
                }
                Verdict::Unanswered => verdict::failed(planned, sent, &unanswered(), terms),
            });
        }
        self.settle(&held.lease, &settlements, Some(call)).await?;
        Ok(stop)
    }

    pub(super) async fn settle(
        &self,
        lease: &Lease,
        settlements: &[Settlement],
        call: Option<i64>,
    ) -> Result<(), StepError> {
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
        Ok(())
    }
}

fn released(work: &Work) -> Settlement {
    Settlement::release(work.planned.record.id, work.planned.record.doubt)
}

/// Whether a refusal of the whole batch may be the fault of one of its inputs.
fn splits(failure: &Failure) -> bool {
    match failure.class {
        Class::RowRejected | Class::Conflict | Class::NotFound => true,
        Class::BadRequestWholeBatch => {
            failure.code == "DUPLICATE_IDS" || failure.code == "INVALID_JSON"
        }
        _ => false,
    }
}

pub(super) fn unanswered() -> Failure {
    let mut failure =
        Failure::lost("UNANSWERED", "HubSpot's reply does not speak of this record".into(), true);
    failure.hint = Some("nothing to do: it is sent again".into());
    failure
}
