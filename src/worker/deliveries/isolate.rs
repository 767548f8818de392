//! Isolation: finds the bad records of a batch that HubSpot refused as a whole.
//!
//! Usually HubSpot says for each record what is wrong. If it only names ids, the named records are
//! sent alone. Otherwise the batch is halved until the bad records are alone. If many records are
//! bad, the rest is sent one by one, because halving would cost more. With k bad records in n, this
//! takes at most 2·k·log2(n) + 1 calls, and never more than 2·n. Every part is settled as soon as
//! it has its verdicts.

use std::time::Instant;

use crate::engine::verdict;
use crate::hubspot::batch::{self, Input, Verdict, Write};
use crate::hubspot::{Class, Failure};
use crate::mapping::ObjectKind;
use crate::queue::delivery::settle::Settlement;
use crate::queue::model::Stage;
use crate::worker::Worker;
use crate::worker::deliveries::write::{Held, Writing, unanswered};
use crate::worker::permit::{NoPermit, Permit};
use crate::worker::step::{Delivered, StepError};

/// After this many bad records the rest is sent one by one.
const MANY: usize = 10;

/// A batch that is being sent, split into parts that have no verdict yet.
pub(in crate::worker) struct Isolation<'a> {
    pub(in crate::worker) object: &'a ObjectKind,
    pub(in crate::worker) stage: Stage,
    pub(in crate::worker) probing: bool,
    pub(in crate::worker) held: Held,
    pub(in crate::worker) parts: Vec<Vec<Writing>>,
    pub(in crate::worker) bad: usize,
}

impl Worker {
    /// Sends all parts. If the gate closes, HubSpot fails a call, the lease is lost or the process
    /// shuts down, it stops early and releases the rest.
    pub(in crate::worker) async fn isolate(
        &self,
        mut isolation: Isolation<'_>,
        permit: Permit,
    ) -> Result<Delivered, StepError> {
        let mut done = Delivered { permit: None, calls: 0, closed: false, transient: false };
        let mut permit = Some(permit);
        while !isolation.parts.is_empty() {
            let usable = match permit.take() {
                Some(permit) => Some(permit),
                None => self.further(&mut isolation).await?,
            };
            let Some(part) = isolation.parts.pop() else { break };
            let Some(permit) = usable.filter(|p| isolation.held.lasts(p)) else {
                isolation.parts.push(part);
                break;
            };
            let inputs: Vec<Input> = part.iter().map(|w| w.input.clone()).collect();
            let (how, key) = match isolation.stage {
                Stage::Update => (Write::Update, None),
                _ => (Write::Upsert(&isolation.object.key), Some(isolation.object.key.as_str())),
            };
            let plural = &isolation.object.plural;
            let mut call = batch::write(self.client.version(), plural, how, &inputs);
            call.sync_type = Some(isolation.object.sync_type.clone());
            let (number, answer) = self.permits.call(permit, call).await;
            done.calls += 1;
            done.transient |= answer.failed();
            let verdicts = match answer.result {
                Ok(body) => batch::verdicts(&inputs, key, &body),
                // A batch call never gets "not found" because of its inputs. The path is wrong.
                Err(mut failure) if failure.class == Class::NotFound && failure.ids.is_empty() => {
                    failure.class = Class::BadRequestWholeBatch;
                    vec![Verdict::Refused(failure); inputs.len()]
                }
                Err(failure) if part.len() > 1 && failure.blames_inputs() => {
                    isolation.divide(part, &failure);
                    continue;
                }
                Err(failure) => vec![Verdict::Refused(failure); inputs.len()],
            };
            if isolation.stage == Stage::Create {
                let conflict =
                    |v: &&Verdict| matches!(v, Verdict::Refused(f) if f.class == Class::Conflict);
                self.conflicts.refused(verdicts.iter().filter(conflict).count(), verdicts.len());
            }
            isolation.bad += verdicts.iter().filter(|v| matches!(v, Verdict::Refused(_))).count();
            done.closed |= self.conclude(&isolation, &part, &verdicts, number).await?;
            if done.closed || done.transient {
                break;
            }
        }
        let rest: Vec<Settlement> = isolation.parts.iter().flatten().map(released).collect();
        self.settle(&isolation.held.lease, &rest, None).await?;
        Ok(done)
    }

    /// Gets a permit for a further call under the same lease, and renews the lease for it.
    async fn further(&self, isolation: &mut Isolation<'_>) -> Result<Option<Permit>, StepError> {
        let permit = match self.permits.acquire(self.settings.timeout).await {
            Ok(permit) => permit,
            Err(NoPermit::Queue(error)) => return Err(error.into()),
            Err(NoPermit::Spent | NoPermit::ShuttingDown) => return Ok(None),
        };
        let ids: Vec<i64> = isolation.parts.iter().flatten().map(|w| w.planned.record.id).collect();
        let (started, now) = (Instant::now(), self.now().await?);
        let held = &mut isolation.held;
        if self.queue.renew(&mut held.lease, &ids, self.holder.ttl, now).await? {
            held.until = started + self.settings.lease;
            return Ok(Some(permit));
        }
        self.permits.give_back(permit).await;
        Ok(None)
    }

    /// Settles the records that have verdicts. Returns whether the gate closed.
    async fn conclude(
        &self,
        isolation: &Isolation<'_>,
        part: &[Writing],
        verdicts: &[Verdict],
        call: i64,
    ) -> Result<bool, StepError> {
        let object = isolation.object;
        let terms = self.terms(object, self.now().await?, isolation.probing);
        let mut settlements = Vec::with_capacity(part.len());
        let mut closed = false;
        for (work, verdict) in part.iter().zip(verdicts) {
            let (planned, sent) = (&work.planned, &work.input.properties);
            settlements.push(match verdict {
                Verdict::Written(shown) => verdict::written(planned, sent, shown, terms),
                Verdict::Refused(failure) => {
                    self.definitions.doubt(&object.sync_type, &failure.code);
                    closed =
                        closed || self.close_for(&object.sync_type, failure, terms.now).await?;
                    verdict::failed(planned, sent, failure, terms)
                }
                Verdict::Unanswered => verdict::failed(planned, sent, &unanswered(), terms),
            });
        }
        self.settle(&isolation.held.lease, &settlements, Some(call)).await?;
        Ok(closed)
    }
}

impl Isolation<'_> {
    /// Splits a refused part so that its bad records end up alone.
    fn divide(&mut self, part: Vec<Writing>, failure: &Failure) {
        let size = part.len();
        let (named, mut rest): (Vec<_>, Vec<_>) =
            part.into_iter().partition(|w| failure.ids.contains(&w.input.id));
        if self.bad >= MANY {
            self.parts.extend(rest.into_iter().chain(named).map(|work| vec![work]));
        } else if named.is_empty() || named.len() == size {
            let mut all = named;
            all.append(&mut rest);
            let half = all.split_off(size / 2);
            self.parts.extend([half, all]);
        } else {
            self.parts.push(rest);
            self.parts.extend(named.into_iter().map(|work| vec![work]));
        }
    }
}

fn released(work: &Writing) -> Settlement {
    Settlement::release(work.planned.record.id, work.planned.record.doubt)
}
