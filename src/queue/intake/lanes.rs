//! Group commit: stores many concurrent requests with few transactions.
//!
//! A commit costs as much for one event as for hundreds. Requests that arrive while others are
//! being stored are stored together by the next transaction. A single request does not wait for
//! others. Each request is still stored whole or not at all, and gets its own answer.
//!
//! A group waits only briefly for a lock. If another transaction holds a record for longer,
//! requests about that record leave the lanes and wait in `aside`, and so do later requests about
//! it.
//!
//! Notifications that something is due are sent after the commit: at once to this process, and to
//! other processes with one notification for everything that is stored within a few milliseconds.
//! (A `NOTIFY` inside the transactions would make their commits wait for each other, because it
//! locks the whole database until the commit.)

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use crate::queue::intake::aside::{Aside, wait_aside};
use crate::queue::intake::enqueue::{Admitted, EnqueueError, locked_records};
use crate::queue::intake::lane::{Lane, met_a_lock};
use crate::queue::intake::request::{Answer, News, Request, away};
use crate::queue::{Queue, QueueError};

/// The number of transactions that run at the same time.
const LANES: usize = 2;
/// The next transaction waits up to this long for the previous one. Two at a time would each be
/// half as large, and the cost of a transaction hardly depends on its size. A large transaction, or
/// one that waits for a lock, delays the next one by no more than this.
const ALONE: Duration = Duration::from_millis(10);
/// The most events in one transaction, unless a single request has more.
const EVENTS: usize = 1_000;
/// How long a lane waits for a lock. Requests of other clients wait with it.
const BRIEFLY: Duration = Duration::from_millis(30);
/// How long a lane waits if no request can continue, because a table is locked.
const PATIENTLY: Duration = Duration::from_secs(5);
/// How often a group is tried again if it met a lock and no record is locked any more.
const BLIND: usize = 1;
/// The number of requests that may wait to be stored.
const WAITING: usize = 1_024;
/// While events keep arriving, other processes are notified at most this often.
const QUIET: Duration = Duration::from_millis(5);

/// Accepts the events of requests and stores them. Cheap to clone. Its tasks end when the last
/// clone is dropped.
#[derive(Debug, Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
    patience: Duration,
}

impl Intake {
    /// Creates an intake for `queue`, and the tasks that the caller must run. `wake` is notified
    /// when something may be due. A request waits at most `patience` for its turn.
    #[must_use]
    pub fn new(
        queue: &Queue,
        wake: &Arc<Notify>,
        patience: Duration,
    ) -> (Self, Vec<BoxFuture<'static, ()>>) {
        let (requests, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(Waiting { requests: waiting, next: None }));
        let (stored, news) = watch::channel(());
        let told = News { wake: Arc::clone(wake), stored };
        let (aside, blocked) = Aside::new();
        let lane = |_| -> BoxFuture<'static, ()> {
            let (queue, waiting) = (queue.clone(), Arc::clone(&waiting));
            let (told, aside) = (told.clone(), aside.clone());
            Box::pin(async move { store(&queue, &waiting, &told, &aside).await })
        };
        let mut tasks: Vec<_> = (0..LANES).map(lane).collect();
        let (here, told, held) = (queue.clone(), told.clone(), aside.held());
        tasks.push(Box::pin(async move { wait_aside(&here, blocked, &held, &told).await }));
        let queue = queue.clone();
        tasks.push(Box::pin(async move { tell(&queue, news).await }));
        (Self { requests, patience }, tasks)
    }

    /// Stores all of `events` or none, and returns after the commit.
    ///
    /// # Errors
    /// [`EnqueueError`], with positions in these events. Also if too many other requests wait.
    pub async fn store(&self, events: Vec<Admitted>) -> Answer {
        let (answer, answered) = oneshot::channel();
        let request = Request { events, answer };
        match self.requests.send_timeout(request, self.patience).await {
            Ok(()) => {}
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => {
                return Err(away(sqlx::Error::PoolTimedOut));
            }
            Err(mpsc::error::SendTimeoutError::Closed(_)) => {
                return Err(away(sqlx::Error::PoolClosed));
            }
        }
        answered.await.unwrap_or_else(|_| Err(away(sqlx::Error::PoolClosed)))
    }
}

/// The requests that wait to be stored.
struct Waiting {
    requests: mpsc::Receiver<Request>,
    /// A request that was too large for the last group.
    next: Option<Request>,
}

impl Waiting {
    /// Returns the requests that wait now, up to the limit. Returns none once the channel is
    /// closed.
    async fn group(&mut self) -> Vec<Request> {
        let first = match self.next.take() {
            Some(request) => Some(request),
            None => self.requests.recv().await,
        };
        let mut group: Vec<Request> = first.into_iter().collect();
        let mut events: usize = group.iter().map(|r| r.events.len()).sum();
        while !group.is_empty() && events < EVENTS {
            let Ok(request) = self.requests.try_recv() else { break };
            events += request.events.len();
            if events > EVENTS {
                self.next = Some(request);
                break;
            }
            group.push(request);
        }
        group
    }
}

async fn store(queue: &Queue, waiting: &Mutex<Waiting>, news: &News, aside: &Aside) {
    // The lane has its own connection, because the pool would check it before and after each use.
    let mut lane = Lane { queue, db: None };
    loop {
        let mut turn = waiting.lock().await;
        let group = turn.group().await;
        if group.is_empty() {
            return;
        }
        let mut storing = std::pin::pin!(store_group(&mut lane, group, aside));
        let stored_any = match tokio::time::timeout(ALONE, &mut storing).await {
            Ok(stored_any) => stored_any,
            Err(_) => {
                drop(turn);
                storing.await
            }
        };
        if stored_any {
            news.tell();
        }
    }
}

/// Stores the requests of `group` together. If one of them cannot be stored, it is tried alone. If
/// another transaction has locked its record, it waits in `aside`. Returns whether anything was
/// stored.
async fn store_group(lane: &mut Lane<'_>, mut group: Vec<Request>, aside: &Aside) -> bool {
    let mut stored = false;
    let mut alone = Vec::new();
    let (mut patience, mut blind) = (BRIEFLY, 0);
    aside.take(&mut group);
    while !group.is_empty() {
        match lane.store_all(&mut group, patience).await {
            Ok(()) => stored = true,
            Err(error) if met_a_lock(&error) && patience == BRIEFLY => {
                let keys = group.iter().flat_map(Request::keys).collect();
                // A time limit applies, because the database connection may be silent.
                let asked = tokio::time::timeout(PATIENTLY, locked_records(lane.queue, &keys));
                match asked.await {
                    Ok(Ok(locked)) if !locked.is_empty() => aside.wait(&mut group, &locked),
                    Ok(Ok(_)) if blind < BLIND => blind += 1,
                    // Another transaction is creating a record. It is not known which request needs
                    // it.
                    Ok(Ok(_)) => alone.append(&mut group),
                    Ok(Err(_)) | Err(_) => patience = PATIENTLY,
                }
            }
            Err(error) if group.len() == 1 => {
                if let Some(Request { answer, .. }) = group.pop() {
                    let _ = answer.send(Err(error));
                }
            }
            Err(EnqueueError::Conflict(places) | EnqueueError::Erased(places)) => {
                let mut end = 0;
                let (faulty, rest) = group.drain(..).partition(|request: &Request| {
                    let start = end;
                    end += request.events.len();
                    places.iter().any(|place| (start..end).contains(place))
                });
                alone.extend::<Vec<Request>>(faulty);
                group = rest;
            }
            // No request caused this.
            Err(EnqueueError::Queue(QueueError::Unavailable(source))) => {
                for Request { answer, .. } in group.drain(..) {
                    let same = std::io::Error::other(source.to_string());
                    let _ = answer.send(Err(away(sqlx::Error::Io(same))));
                }
            }
            // Postgres cannot store a value. It is not known which request has it.
            Err(EnqueueError::Queue(_)) => alone.append(&mut group),
        }
    }
    for request in alone {
        let Some(request) = aside.unless_held(request) else { continue };
        let events: Vec<&Admitted> = request.events.iter().collect();
        match lane.together(&events, BRIEFLY).await {
            Err(error) if met_a_lock(&error) => aside.put(request, None),
            own => {
                stored |= own.is_ok();
                let _ = request.answer.send(own);
            }
        }
    }
    stored
}

/// Notifies the other processes that something was stored: at once, then at most once per interval
/// for everything that arrived meanwhile.
async fn tell(queue: &Queue, mut stored: watch::Receiver<()>) {
    while stored.changed().await.is_ok() {
        if let Err(error) = queue.notify_due().await {
            // They also look for work every second without a notification.
            tracing::debug!(error = %error, "other processes could not be told");
        }
        tokio::time::sleep(QUIET).await;
    }
}
