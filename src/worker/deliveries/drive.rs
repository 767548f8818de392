//! Drives a delivery: settles what needs no call, sends the rest, and settles the answers.
//!
//! Usually one call suffices. If HubSpot refuses a whole batch, the delivery may divide it, and the
//! parts are sent one after the other under the same lease. It stops early and releases the rest if
//! a gate closes, HubSpot fails a call, the lease is lost or the process shuts down. Every part is
//! settled as soon as it has its results.

use std::time::Instant;

use crate::portals::{NoPermit, Permit};
use crate::queue::model::Lease;
use crate::worker::deliveries::delivery::{Context, Delivery, Judged, Selection, Settled as _};
use crate::worker::work::{Delivered, StepError, Work};
use crate::worker::{SETTLE_MARGIN, Worker};

/// A lease with the latest instant at which a call may be sent under it, on this process's clock.
struct Held {
    lease: Lease,
    until: Instant,
}

impl Held {
    /// Whether a call may still be sent on `permit`, and can end and be settled within the lease.
    fn lasts(&self, permit: &Permit) -> bool {
        let left = self.until.saturating_duration_since(Instant::now());
        permit.lasts() && left > permit.timeout() + SETTLE_MARGIN
    }
}

/// Delivers a leased batch.
pub(super) async fn drive<D: Delivery>(
    worker: &Worker,
    work: Work<'_>,
) -> Result<Delivered, StepError> {
    let Work { batch, leased_at, object, permit, probing } = work;
    let cx = Context { worker, object, stage: batch.stage, probing };
    let mut held = Held { lease: batch.lease, until: leased_at + worker.settings.lease };
    let Selection { mut how, items, settled } = D::select(&cx, batch.records).await?;
    if !settled.is_empty() {
        settled.store(worker, &held.lease, None).await?;
    }
    let mut done = Delivered::without_call(permit);
    let mut parts = if items.is_empty() { Vec::new() } else { vec![items] };
    while !parts.is_empty() {
        let permit = match done.permit.take() {
            Some(permit) => Some(permit),
            None => further::<D>(worker, &mut held, &parts).await?,
        };
        // Without a permit nothing is taken from the parts: all of them are released below.
        let Some(permit) = permit else { break };
        let Some(part) = parts.pop() else { break };
        if !held.lasts(&permit) || !D::intend(&cx, &held.lease, &how, &part).await? {
            done.permit = Some(permit);
            parts.push(part);
            break;
        }
        let mut call = D::call(&cx, &how, &part);
        call.sync_type = Some(object.sync_type.clone());
        let (number, answer) = worker.connection.permits.call(permit, call).await;
        done.calls += 1;
        done.transient |= answer.failed();
        match D::judge(&cx, &mut how, part, answer.result).await? {
            Judged::Divided(smaller) => parts.extend(smaller),
            Judged::Settled { settled, closed } => {
                settled.store(worker, &held.lease, Some(number)).await?;
                done.closed |= closed;
                if done.closed || done.transient {
                    break;
                }
            }
        }
    }
    let rest: Vec<D::Item> = parts.into_iter().flatten().collect();
    if !rest.is_empty() {
        D::release(how, rest).store(worker, &held.lease, None).await?;
    }
    Ok(done)
}

/// Gets a permit for a further call under the same lease, and renews the lease for it.
async fn further<D: Delivery>(
    worker: &Worker,
    held: &mut Held,
    parts: &[Vec<D::Item>],
) -> Result<Option<Permit>, StepError> {
    let permit = match worker.connection.permits.acquire(worker.settings.timeout).await {
        Ok(permit) => permit,
        Err(NoPermit::Queue(error)) => return Err(error.into()),
        Err(NoPermit::Spent | NoPermit::ShuttingDown) => return Ok(None),
    };
    let records: Vec<i64> = parts.iter().flatten().map(D::record).collect();
    let (started, now) = (Instant::now(), worker.now().await?);
    if worker.portal.queue.renew(&mut held.lease, &records, worker.holder.ttl, now).await? {
        held.until = started + worker.settings.lease;
        return Ok(Some(permit));
    }
    worker.connection.permits.give_back(permit).await;
    Ok(None)
}
