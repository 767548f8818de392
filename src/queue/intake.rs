//! The way into the queue for many requests at once: group commit.
//!
//! A commit costs as much for one event as for hundreds. Requests that come while others are being
//! stored are stored together by the next transaction; a lone request waits for nobody. Each
//! request is still stored whole or not at all, and answered for itself.
//!
//! That something is due is told after the commit: at once to this process, and to the others by
//! one notification for all that is stored within a few milliseconds. (`NOTIFY` within the
//! transactions would make their commits wait for each other: it takes a lock of the whole
//! database until the commit.)

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use sqlx::Postgres;
use sqlx::pool::PoolConnection;
use tokio::sync::{Mutex, Notify, mpsc, oneshot, watch};

use super::enqueue::{Admitted, EnqueueError, Receipt, enqueue};
use super::model::head_start;
use super::{Queue, QueueError};

/// Transactions at the same time.
const LANES: usize = 2;
/// The next transaction waits so long for the one before: two at a time would be half as large, and
/// what a transaction costs hardly depends on its size. A large one, or one that waits for a lock,
/// holds up nobody for longer.
const ALONE: Duration = Duration::from_millis(10);
/// Events of one transaction, unless a single request brings more.
const EVENTS: usize = 1_000;
/// Tries of a transaction that met another.
const TRIES: usize = 3;
/// No transaction lasts longer; locks are waited for five seconds at most.
const LONGEST: Duration = Duration::from_secs(20);
/// Requests that may wait to be stored.
const WAITING: usize = 1_024;
/// Other processes hear of new events at most this often while more keep coming.
const QUIET: Duration = Duration::from_millis(5);

type Answer = Result<Vec<Receipt>, EnqueueError>;

/// The events of one request.
struct Request {
    events: Vec<Admitted>,
    answer: oneshot::Sender<Answer>,
}

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
        let lane = |_| -> BoxFuture<'static, ()> {
            let (queue, waiting) = (queue.clone(), Arc::clone(&waiting));
            let (wake, stored) = (Arc::clone(wake), stored.clone());
            Box::pin(async move { store(&queue, &waiting, &wake, &stored).await })
        };
        let mut tasks: Vec<_> = (0..LANES).map(lane).collect();
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

fn away(error: sqlx::Error) -> EnqueueError {
    QueueError::Unavailable(error).into()
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

async fn store(queue: &Queue, waiting: &Mutex<Waiting>, wake: &Notify, stored: &watch::Sender<()>) {
    // A connection of its own: the pool would look at it before and after each use.
    let mut lane = Lane { queue, db: None };
    loop {
        let mut turn = waiting.lock().await;
        let group = turn.group().await;
        if group.is_empty() {
            return;
        }
        let mut storing = std::pin::pin!(lane.store_group(group));
        let stored_any = match tokio::time::timeout(ALONE, &mut storing).await {
            Ok(stored_any) => stored_any,
            Err(_) => {
                drop(turn);
                storing.await
            }
        };
        if stored_any {
            wake.notify_one();
            stored.send_replace(());
        }
    }
}

/// Whether a transaction was undone for the sake of another: a deadlock, a merge at that moment.
fn collided(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    code.is_some_and(|code| code.starts_with("40"))
}

/// One of those who store.
struct Lane<'a> {
    queue: &'a Queue,
    db: Option<PoolConnection<Postgres>>,
}

impl Lane<'_> {
    /// Stores the requests of `group` together; where one of them cannot be, it stands alone. Answers
    /// whether anything was stored.
    async fn store_group(&mut self, mut group: Vec<Request>) -> bool {
        let mut stored = false;
        let mut alone = Vec::new();
        while !group.is_empty() {
            let events: Vec<&Admitted> = group.iter().flat_map(|r| &r.events).collect();
            match self.together(&events).await {
                Ok(receipts) => {
                    let mut receipts = receipts.into_iter();
                    for Request { events, answer } in group.drain(..) {
                        // Whoever has gone away is answered by the next try: it is a duplicate then.
                        let _ = answer.send(Ok(receipts.by_ref().take(events.len()).collect()));
                    }
                    stored = true;
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
        for Request { events, answer } in alone {
            let events: Vec<&Admitted> = events.iter().collect();
            let own = self.together(&events).await;
            stored |= own.is_ok();
            let _ = answer.send(own);
        }
        stored
    }

    /// One transaction; tried again on a new connection where the old one was lost (what it has
    /// committed is known then, and answered as such), and where it met another.
    async fn together(&mut self, events: &[&Admitted]) -> Answer {
        for _ in 1..TRIES {
            let held = self.db.is_some();
            match self.once(events).await {
                Err(EnqueueError::Queue(QueueError::Unavailable(error)))
                    if held || collided(&error) => {}
                answer => return answer,
            }
        }
        self.once(events).await
    }

    /// A connection whose other end has gone without a word is given up in time.
    async fn once(&mut self, events: &[&Admitted]) -> Answer {
        let stored = tokio::time::timeout(LONGEST, self.enqueue(events)).await;
        stored.unwrap_or_else(|_| Err(away(std::io::Error::from(ErrorKind::TimedOut).into())))
    }

    async fn enqueue(&mut self, events: &[&Admitted]) -> Answer {
        let now = self.queue.about_now().await?;
        let mut db = match self.db.take() {
            Some(db) => db,
            None => self.queue.pool.acquire().await.map_err(QueueError::from)?,
        };
        // Never back into the pool: whoever took it there would wait for it in turn.
        db.close_on_drop();
        let answer = enqueue(&mut db, events, now, self.queue.ahead()).await;
        if !matches!(answer, Err(EnqueueError::Queue(_))) {
            self.db = Some(db);
        }
        let places = events.iter().flat_map(|event| event.places());
        self.queue.lines.came(places.map(|(kind, priority)| (kind, now - head_start(priority))));
        answer
    }
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
