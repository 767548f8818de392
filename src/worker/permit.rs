//! A permit allows one call to HubSpot. It combines the pacing of this process with the quota
//! ledger that all replicas share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::watchdog::elsewhere;
use crate::hubspot::client::{Quota, Sender};
use crate::hubspot::pacer::Pacer;
use crate::hubspot::{Answer, Call, Client};
use crate::queue::gates::gate::{Closure, GateKind};
use crate::queue::quota::ledger::{self, Place, Reply, Reserved};
use crate::queue::{Queue, QueueError};
use crate::settings::Live;

/// HubSpot's limits on calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls in any rolling window.
    pub per_window: u32,
    /// Calls a day, in the account's time zone.
    pub per_day: u32,
    /// Whether a larger limit in HubSpot's headers is used. A smaller one always is.
    pub grows: bool,
}

/// The length of HubSpot's rolling window.
pub const WINDOW: Duration = Duration::from_secs(10);

/// The last fraction of the daily quota that is reserved for rows of high priority.
const RESERVE: f64 = 0.05;

/// A reserved place in the window. End it with [`Permits::call`] or [`Permits::give_back`].
#[derive(Debug)]
pub struct Permit {
    place: Place,
    void: Instant,
    timeout: Duration,
}

impl Permit {
    /// Whether this is one of the day's last calls, which are reserved for rows of high priority.
    #[must_use]
    pub fn scarce(&self) -> bool {
        self.place.day_used > 1.0 - RESERVE
    }

    /// The timeout of the call.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether the call may still be sent.
    #[must_use]
    pub fn lasts(&self) -> bool {
        self.void.saturating_duration_since(Instant::now()) > self.timeout
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
    /// The database failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}

/// Gives out permits. Cheap to clone; all workers of a process share it.
#[derive(Debug, Clone)]
pub struct Permits {
    queue: Queue,
    client: Client,
    live: Live,
    /// Whether a larger limit in HubSpot's headers is used. A smaller one always is.
    grows: bool,
    holder: Arc<str>,
    pace: Arc<RwLock<Pace>>,
    /// Only one worker asks at a time, in order: the others would ask for the same.
    turn: Arc<Mutex<()>>,
    /// Whether the token belongs to an account other than the linked one.
    foreign: Arc<AtomicBool>,
    shutdown: CancellationToken,
}

/// The pacer, and the limit that it was made for.
#[derive(Debug)]
struct Pace {
    /// The window's limit that HubSpot's headers named last.
    learned: Option<u32>,
    /// The limit that the pacer applies.
    limit: u32,
    pacer: Arc<Pacer>,
}

/// A permit expires if no call is made on it within this time.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

impl Permits {
    /// Creates permits for calls of `client`. The ledger records `holder`; `live` gives the limits.
    #[must_use]
    pub fn new(
        queue: Queue,
        client: Client,
        live: Live,
        learn_limits: bool,
        holder: &str,
        shutdown: CancellationToken,
    ) -> Self {
        let limit = live.now().values.limit_per_10s;
        let pace = Pace { learned: None, limit, pacer: pacer(limit) };
        Self {
            pace: Arc::new(RwLock::new(pace)),
            queue,
            client,
            live,
            grows: learn_limits,
            holder: holder.into(),
            turn: Arc::default(),
            foreign: Arc::default(),
            shutdown,
        }
    }

    /// Whether this process's token belongs to another account. Then the process must send nothing,
    /// even if the shared gate is open, because another process may have the right token.
    #[must_use]
    pub fn foreign(&self) -> bool {
        self.foreign.load(Ordering::SeqCst)
    }

    pub(super) fn set_foreign(&self, foreign: bool) {
        self.foreign.store(foreign, Ordering::SeqCst);
    }

    /// Waits for a place in the window, for a call with this `timeout`.
    ///
    /// # Errors
    /// When the day's quota is spent, the process shuts down or the database fails.
    pub async fn acquire(&self, timeout: Duration) -> Result<Permit, NoPermit> {
        tokio::select! {
            permit = self.wait(timeout) => permit,
            () = self.shutdown.cancelled() => Err(NoPermit::ShuttingDown),
        }
    }

    async fn wait(&self, timeout: Duration) -> Result<Permit, NoPermit> {
        let _turn = elsewhere(self.turn.lock()).await;
        let pacer = elsewhere(self.pace()).await;
        let longest = LONGEST_IDLE + timeout;
        loop {
            // The limits are read again each time, so that a changed limit applies to the next
            // place.
            let limits = self.limits();
            let asked = Instant::now();
            match self.queue.reserve(&ledger_limits(limits, longest), &self.holder).await? {
                Reserved::Place(place) => {
                    let left = u32::try_from(place.left).unwrap_or_default();
                    pacer.granted(left, place.next.to_std().unwrap_or_default());
                    let permit = Permit { place, void: asked + longest, timeout };
                    if permit.scarce() {
                        let Place { day_ends, reserved_at, .. } = permit.place;
                        self.keep_reserve(day_ends, reserved_at).await?;
                    }
                    return Ok(permit);
                }
                Reserved::Full(wait) => {
                    metrics::counter!("hubferry_window_full_total").increment(1);
                    // A reply in another process may free a place sooner than the ledger says now.
                    let wait = wait.to_std().unwrap_or_default();
                    let wait = wait.clamp(Duration::from_millis(2), Duration::from_millis(250));
                    elsewhere(tokio::time::sleep(wait)).await;
                }
                Reserved::Spent { now, until } => {
                    let closure = Closure {
                        code: Some("DAILY_LIMIT".into()),
                        reason: format!("the daily quota of {} calls is spent", limits.per_day),
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

    /// Gives back a permit that was not used: its place in the ledger and its turn in the pacer.
    pub async fn give_back(&self, permit: Permit) {
        self.pacer().await.give_back();
        if let Err(error) = self.queue.cancel(permit.place).await {
            tracing::debug!(error = %error, "an unused permit ends by itself");
        }
    }

    /// Makes `call` on `permit` once, and records it in the ledger. Also returns the call's number.
    pub async fn call(&self, permit: Permit, call: Call) -> (i64, Answer) {
        let number = permit.place.call;
        let reply = Reply {
            purpose: call.purpose.clone(),
            sync_type: call.sync_type.clone(),
            inputs: i32::try_from(call.inputs).unwrap_or(i32::MAX),
            ..Reply::default()
        };
        let answer = elsewhere(self.client.within(permit.timeout).send(call)).await;
        self.learn(answer.quota).await;
        let reply = noted(reply, &answer);
        log(number, &reply);
        if let Err(error) = self.queue.replied(permit.place, window(), &reply).await {
            tracing::warn!(call.id = number, error = %error, "a call could not be noted; its place ends by itself");
        }
        (number, answer)
    }

    /// Reserves the day's last calls for rows of high priority.
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

    /// Stores what HubSpot's headers say about the quota.
    async fn learn(&self, quota: Quota) {
        let seen = ledger::Seen { window: quota.window, day: quota.day };
        if seen == ledger::Seen::default() {
            return;
        }
        if let Err(error) = self.queue.learn(seen, window()).await {
            tracing::debug!(error = %error, "the quota's headers could not be noted");
        }
        let Some((limit, _)) = seen.window else { return };
        let learned = u32::try_from(limit).ok().map(|limit| limit.max(1));
        if self.pace.read().await.learned != learned {
            self.pace.write().await.learned = learned;
            self.pacer().await;
        }
    }

    /// The pacer of the current limit: the configured limit, corrected by HubSpot's headers.
    async fn pacer(&self) -> Arc<Pacer> {
        let ours = self.limits().per_window;
        let mut pace = self.pace.write().await;
        let limit = match pace.learned {
            Some(learned) if self.grows || learned < ours => learned,
            _ => ours,
        };
        if pace.limit != limit {
            tracing::info!(limit, was = pace.limit, "another limit is paced");
            (pace.limit, pace.pacer) = (limit, pacer(limit));
        }
        Arc::clone(&pace.pacer)
    }

    /// Waits for the pacer. If the limit changes meanwhile, it waits for the pacer of the new
    /// limit.
    async fn pace(&self) -> Arc<Pacer> {
        let mut news = self.live.watch();
        loop {
            let pacer = self.pacer().await;
            tokio::select! {
                () = pacer.wait() => return pacer,
                _ = news.changed() => {}
            }
        }
    }

    fn limits(&self) -> Limits {
        let now = self.live.now();
        Limits {
            per_window: now.values.limit_per_10s,
            per_day: now.values.limit_per_day,
            grows: self.grows,
        }
    }
}

fn ledger_limits(limits: Limits, longest: Duration) -> ledger::Limits {
    // The longest time that a place is held: idle time, timeout, and a second to record the reply.
    let longest = longest + Duration::from_secs(1);
    ledger::Limits {
        per_window: i64::from(limits.per_window),
        window: window(),
        grows: limits.grows,
        per_day: i64::from(limits.per_day),
        longest: TimeDelta::from_std(longest).unwrap_or(TimeDelta::seconds(30)),
    }
}

fn pacer(limit: u32) -> Arc<Pacer> {
    Arc::new(Pacer::new(limit, WINDOW))
}

fn window() -> TimeDelta {
    TimeDelta::from_std(WINDOW).unwrap_or(TimeDelta::seconds(10))
}

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

fn noted(reply: Reply, answer: &Answer) -> Reply {
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
