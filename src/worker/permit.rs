//! Permission to make one call: the process' pacing and the ledger that all replicas share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use tokio::sync::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::day::day_of;
use crate::hubspot::client::{Quota, Sender};
use crate::hubspot::pacer::Pacer;
use crate::hubspot::{Answer, Call, Client};
use crate::queue::gate::{Closure, GateKind};
use crate::queue::ledger::{self, Place, Reply, Reserved};
use crate::queue::{Queue, QueueError};

/// The quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in any rolling window.
    pub per_window: u32,
    /// The window's length.
    pub window: Duration,
    /// Calls a day, in the account's time zone.
    pub per_day: u32,
    /// Whether a larger limit that HubSpot's headers name is used; a smaller one always is.
    pub grows: bool,
}

/// The last part of the day's quota is kept for high priority.
const RESERVE: f64 = 0.05;

/// A place in the window: end it with [`Permits::call`] or [`Permits::give_back`].
#[derive(Debug)]
pub struct Permit {
    place: Place,
    void: Instant,
}

impl Permit {
    /// Whether it is one of the day's last, which are kept for high priority.
    #[must_use]
    pub fn scarce(&self) -> bool {
        self.place.day_used > 1.0 - RESERVE
    }

    /// Whether a call that takes up to `timeout` may still leave on it.
    #[must_use]
    pub fn lasts(&self, timeout: Duration) -> bool {
        self.void.saturating_duration_since(Instant::now()) > timeout
    }
}

/// Why there is no permit.
#[derive(Debug, thiserror::Error)]
pub enum NoPermit {
    /// The day's quota is spent; the gate has been closed.
    #[error("the daily quota is spent")]
    Spent,
    /// The process is shutting down.
    #[error("shutting down")]
    ShuttingDown,
    /// The database.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Hands out permits; cheap to clone, shared by all workers of a process.
#[derive(Debug, Clone)]
pub struct Permits {
    queue: Queue,
    client: Client,
    limits: Limits,
    holder: Arc<str>,
    pacer: Arc<RwLock<(u32, Arc<Pacer>)>>,
    /// One asks at a time, in the order of asking: the others would only ask the same.
    turn: Arc<Mutex<()>>,
    zone: Arc<RwLock<Tz>>,
    /// The token belongs to another account than the links.
    foreign: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

/// A permit that no call was made on within this time has lost its place.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

impl Permits {
    /// Permits for calls of `client`, noted under `holder`.
    #[must_use]
    pub fn new(
        queue: Queue,
        client: Client,
        limits: Limits,
        holder: &str,
        shutdown: CancellationToken,
    ) -> Self {
        Self {
            pacer: Arc::new(RwLock::new((
                limits.per_window,
                pacer(limits.per_window, limits.window),
            ))),
            queue,
            client,
            limits,
            holder: holder.into(),
            turn: Arc::default(),
            zone: Arc::new(RwLock::new(Tz::UTC)),
            foreign: Arc::default(),
            shutdown,
        }
    }

    /// Sets the account's time zone, by whose midnight the daily quota ends.
    pub async fn set_time_zone(&self, name: &str) {
        match name.parse() {
            Ok(zone) => *self.zone.write().await = zone,
            Err(_) => {
                tracing::warn!(time_zone = name, "unknown time zone, the day ends at midnight UTC")
            }
        }
    }

    /// Whether this process' token belongs to another account, so that it must send nothing, whatever
    /// the shared gate says: another process may have the right one.
    #[must_use]
    pub fn foreign(&self) -> bool {
        self.foreign.load(Ordering::SeqCst)
    }

    pub(super) fn set_foreign(&self, foreign: bool) {
        self.foreign.store(foreign, Ordering::SeqCst);
    }

    /// Waits for a place in the window.
    ///
    /// # Errors
    /// When the day's quota is spent, the process shuts down or the database fails.
    pub async fn acquire(&self) -> Result<Permit, NoPermit> {
        tokio::select! {
            permit = self.wait() => permit,
            () = self.shutdown.cancelled() => Err(NoPermit::ShuttingDown),
        }
    }

    async fn wait(&self) -> Result<Permit, NoPermit> {
        let _turn = self.turn.lock().await;
        let pacer = Arc::clone(&self.pacer.read().await.1);
        pacer.wait().await;
        loop {
            let asked = Instant::now();
            let now = self.queue.now().await?;
            let day = day_of(now, *self.zone.read().await);
            match self.queue.reserve(&self.ledger_limits(), day, &self.holder).await? {
                Reserved::Place(place) => {
                    let permit = Permit { place, void: asked + self.longest() };
                    if permit.scarce() {
                        self.keep_reserve(day.1, now).await?;
                    }
                    return Ok(permit);
                }
                Reserved::Full(wait) => {
                    metrics::counter!("hubferry_window_full_total").increment(1);
                    // A reply of another process may free a place sooner than the ledger says now.
                    let wait = wait.to_std().unwrap_or_default();
                    tokio::time::sleep(
                        wait.clamp(Duration::from_millis(2), Duration::from_millis(250)),
                    )
                    .await;
                }
                Reserved::Spent(until) => {
                    let closure = Closure {
                        code: Some("DAILY_LIMIT".into()),
                        reason: format!(
                            "the daily quota of {} calls is spent",
                            self.limits.per_day
                        ),
                        hint: Some(
                            "sending goes on after midnight in the account's time zone".into(),
                        ),
                        ..Closure::default()
                    };
                    self.queue.close_gate(GateKind::Daily, &closure, Some(until), now).await?;
                    return Err(NoPermit::Spent);
                }
            }
        }
    }

    /// Gives back a permit on which no call was made.
    pub async fn give_back(&self, permit: Permit) {
        if let Err(error) = self.queue.cancel(permit.place).await {
            tracing::debug!(error = %error, "an unused permit ends by itself");
        }
    }

    /// Makes `call` on `permit`, once, and notes it in the ledger. Answers the call's number too.
    pub async fn call(&self, permit: Permit, call: Call) -> (i64, Answer) {
        let number = permit.place.call;
        let reply = Reply {
            purpose: call.purpose.clone(),
            sync_type: call.sync_type.clone(),
            inputs: i32::try_from(call.inputs).unwrap_or(i32::MAX),
            ..Reply::default()
        };
        let answer = self.client.send(call).await;
        self.learn(answer.quota).await;
        let reply = noted(reply, &answer);
        log(number, &reply);
        let window = window_of(&self.limits);
        if let Err(error) = self.queue.replied(permit.place, window, &reply).await {
            tracing::warn!(call.id = number, error = %error, "a call could not be noted; its place ends by itself");
        }
        (number, answer)
    }

    /// Leaves the last of the day to high priority.
    async fn keep_reserve(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<(), QueueError> {
        let closure = Closure {
            code: Some("DAILY_RESERVE".into()),
            reason: "the last of the day's quota is kept for high priority".into(),
            hint: Some("the others go out after midnight in the account's time zone".into()),
            ..Closure::default()
        };
        self.queue.close_gate(GateKind::Reserve, &closure, Some(until), now).await
    }

    /// Takes over what HubSpot's headers say of the quota.
    async fn learn(&self, quota: Quota) {
        let seen = ledger::Seen { window: quota.window, day: quota.day };
        if seen == ledger::Seen::default() {
            return;
        }
        if let Err(error) = self.queue.learn(seen, window_of(&self.limits)).await {
            tracing::debug!(error = %error, "the quota's headers could not be noted");
        }
        let Some((limit, _)) = seen.window else { return };
        let ours = self.limits.per_window;
        let limit = u32::try_from(limit).unwrap_or(ours).max(1);
        let limit = if self.limits.grows { limit } else { limit.min(ours) };
        if self.pacer.read().await.0 != limit {
            tracing::info!(limit, "HubSpot's limit is another than the one that was paced");
            *self.pacer.write().await = (limit, pacer(limit, self.limits.window));
        }
    }

    /// When the day of `now` ends in the account's time zone.
    pub async fn end_of_day(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        day_of(now, *self.zone.read().await).1
    }

    fn longest(&self) -> Duration {
        LONGEST_IDLE + self.client.timeout()
    }

    fn ledger_limits(&self) -> ledger::Limits {
        // The far end of the lease of a place: idle time, time-out, and a second for the note.
        let longest = self.longest() + Duration::from_secs(1);
        ledger::Limits {
            per_window: i64::from(self.limits.per_window),
            window: window_of(&self.limits),
            grows: self.limits.grows,
            per_day: i64::from(self.limits.per_day),
            longest: TimeDelta::from_std(longest).unwrap_or(TimeDelta::seconds(30)),
        }
    }
}

fn pacer(limit: u32, window: Duration) -> Arc<Pacer> {
    Arc::new(Pacer::new(limit, window))
}

fn window_of(limits: &Limits) -> TimeDelta {
    TimeDelta::from_std(limits.window).unwrap_or(TimeDelta::seconds(10))
}

/// So that whoever only knows the API (setup, the account check) keeps the quota too.
impl Sender for Permits {
    async fn send(&self, call: Call) -> Answer {
        match self.acquire().await {
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

fn noted(reply: Reply, answer: &Answer) -> Reply {
    let failure = answer.result.as_ref().err();
    Reply {
        duration_ms: i32::try_from(answer.duration.as_millis()).unwrap_or(i32::MAX),
        http_status: answer.status.map(i32::from),
        class: failure.map_or("ok", |f| f.class.as_str()).to_owned(),
        // The code only: a message may repeat a value that was sent.
        message: failure.map(|f| f.code.clone()),
        correlation_id: answer.correlation_id.clone(),
        ..reply
    }
}

fn log(number: i64, reply: &Reply) {
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
