//! What is recorded and logged about a call.

use std::time::Duration;

use crate::hubspot::client::{Quota, Sender};
use crate::hubspot::{Answer, Call};
use crate::portals::permit::Permits;
use crate::queue::quota::ledger::Reply;

/// Applies the quota to callers that only know the API, such as setup and the account check.
impl Sender for Permits {
    async fn send(&self, call: Call) -> Answer {
        match self.acquire(self.live.now().values.timeout).await {
            Ok(permit) => self.call(permit, call).await.1,
            Err(error) => Answer {
                status: None,
                result: Err(crate::hubspot::Failure::lost("NO_PERMIT", error.to_string(), false)),
                correlation_id: None,
                duration: Duration::ZERO,
                quota: Quota::default(),
            },
        }
    }
}

/// Adds the answer to what is recorded of a call.
pub(super) fn noted(reply: Reply, answer: &Answer) -> Reply {
    let failure = answer.result.as_ref().err();
    Reply {
        duration_ms: i32::try_from(answer.duration.as_millis()).unwrap_or(i32::MAX),
        http_status: answer.status.map(i32::from),
        class: failure.map_or("ok", |f| f.class.as_str()).to_owned(),
        // Only the code is stored, because a message may repeat a value that was sent.
        message: failure.map(|f| f.code.clone()),
        correlation_id: answer.correlation_id.clone(),
        ..reply
    }
}

/// Logs and counts a call.
pub(super) fn log(number: i64, reply: &Reply) {
    let labels = [("purpose", reply.purpose.clone()), ("class", reply.class.clone())];
    metrics::counter!("hubferry_hubspot_calls_total", &labels).increment(1);
    metrics::histogram!("hubferry_hubspot_call_duration_seconds")
        .record(f64::from(reply.duration_ms) / 1_000.0);
    tracing::info!(
        call.id = number,
        call.purpose = reply.purpose,
        call.inputs = reply.inputs,
        call.duration_ms = reply.duration_ms,
        call.status = reply.http_status,
        call.class = reply.class,
        call.correlation_id = reply.correlation_id,
        "called HubSpot"
    );
}
