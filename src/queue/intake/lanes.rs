//! The way into the queue for many requests at once: group commit.
//!
//! A commit costs as much for one event as for hundreds. Requests that come while others are being
//! stored are stored together by the next transaction; a lone request waits for nobody. Each
//! request is still stored whole or not at all, and answered for itself.
//!
//! A group waits for a lock only briefly. A request about a record that somebody holds for longer
//! leaves the lanes and waits aside (`aside`), and so does what comes for the same record meanwhile.
//!
//! That something is due is told after the commit: at once to this process, and to the others by
//! one notification for all that is stored within a few milliseconds. (`NOTIFY` within the
//! transactions would make their commits wait for each other: it takes a lock of the whole
//! database until the commit.)

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use crate::queue::intake::aside::{Aside, wait_aside};
use crate::queue::intake::enqueue::{Admitted, EnqueueError, locked_records};
use crate::queue::intake::lane::{Lane, met_a_lock};
use crate::queue::intake::request::{Answer, News, Request, away};
use crate::queue::{Queue, QueueError};

/// Transactions at the same time.
const LANES: usize = 2;
/// The next transaction waits so long for the one before: two at a time would be half as large, and
/// what a transaction costs hardly depends on its size. A large one, or one that waits for a lock,
/// holds up nobody for longer.
const ALONE: Duration = Duration::from_millis(10);
/// Events of one transaction, unless a single request brings more.
const EVENTS: usize = 1_000;
/// How long a lane waits for a lock: others' requests wait with it.
const BRIEFLY: Duration = Duration::from_millis(30);
/// How long it waits where nobody could go on: somebody has locked a table.
const PATIENTLY: Duration = Duration::from_secs(5);
/// Times that a group is tried again where it has met a lock and no record is locked any more.
const BLIND: usize = 1;
/// Requests that may wait to be stored.
const WAITING: usize = 1_024;
/// Other processes hear of new events at most this often while more keep coming.
const QUIET: Duration = Duration::from_millis(5);

/// Where requests hand in their events. Cheap to clone; the tasks behind it end with its last clone.
#[derive(Debug, Clone)]
pub struct Intake {
    requests: mpsc::Sender<Request>,
    patience: Duration,
}

impl Intake {
    /// An intake of `queue`, and its tasks, for the caller to run. `wake` is told when something may
    /// be due; a request waits no longer than `patience` for its turn.
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

    /// Stores `events` whole or not at all; answers after the commit.
    ///
    /// # Errors
    /// [`EnqueueError`], for the places of these events; also when too many others wait.
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

/// The requests that wait.
struct Waiting {
    requests: mpsc::Receiver<Request>,
    /// One that was too large for the last group.
    next: Option<Request>,
}

impl Waiting {
    /// All that wait now, up to the bound; nothing once no more can come.
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
    // A connection of its own: the pool would look at it before and after each use.
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

/// Stores the requests of `group` together; where one of them cannot be, it stands alone, and
/// where somebody holds its record, it waits `aside`. Answers whether anything was stored.
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
                // Bounded like all that waits for the database, whose connection may be silent.
                let asked = tokio::time::timeout(PATIENTLY, locked_records(lane.queue, &keys));
                match asked.await {
                    Ok(Ok(locked)) if !locked.is_empty() => aside.wait(&mut group, &locked),
                    Ok(Ok(_)) if blind < BLIND => blind += 1,
                    // A record that somebody else is making: it is not known whose it is.
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
            // Nobody's fault.
            Err(EnqueueError::Queue(QueueError::Unavailable(source))) => {
                for Request { answer, .. } in group.drain(..) {
                    let same = std::io::Error::other(source.to_string());
                    let _ = answer.send(Err(away(sqlx::Error::Io(same))));
                }
            }
            // A value that Postgres cannot hold: it is not known whose.
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

/// Tells the other processes that something was stored: at once, and then again at most once in a
/// while for all that came meanwhile.
async fn tell(queue: &Queue, mut stored: watch::Receiver<()>) {
    while stored.changed().await.is_ok() {
        if let Err(error) = queue.notify_due().await {
            // They look by themselves every second.
            tracing::debug!(error = %error, "other processes could not be told");
        }
        tokio::time::sleep(QUIET).await;
    }
}
