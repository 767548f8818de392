//! Tracks connected clients. When there are too many, those that have gone longest without
//! finishing a request are disconnected. Slow or silent clients therefore cannot keep others out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

/// How many clients are disconnected at a time. Finding them needs a scan of all clients.
const AT_A_TIME: usize = 100;

/// A connected client.
#[derive(Debug)]
pub(super) struct Client {
    number: u64,
    /// When the client connected or last got an answer, in milliseconds.
    since: AtomicU64,
    leave: Notify,
}

/// All connected clients.
#[derive(Debug)]
pub(super) struct Connections {
    clients: Mutex<HashMap<u64, Arc<Client>>>,
    most: usize,
    started: Instant,
    next: AtomicU64,
}

/// The place of one client, held until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    client: Arc<Client>,
    connections: Arc<Connections>,
}

impl Connections {
    /// Allows at most `most` clients.
    pub(super) fn new(most: usize) -> Arc<Self> {
        let (clients, next) = (Mutex::default(), AtomicU64::new(0));
        Arc::new(Self { clients, most, started: Instant::now(), next })
    }

    /// Adds a client, and disconnects others if there are too many.
    pub(super) fn add(self: &Arc<Self>) -> Place {
        if self.lock().len() >= self.most {
            self.make_room();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let since = AtomicU64::new(self.now());
        let client = Arc::new(Client { number, since, leave: Notify::new() });
        self.lock().insert(number, Arc::clone(&client));
        Place { client, connections: Arc::clone(self) }
    }

    /// Disconnects the clients that have taken longest. Returns whether there were any.
    pub(super) fn make_room(&self) -> bool {
        let mut clients = self.lock();
        let waiting = clients.values().map(|c| (c.since.load(Ordering::Relaxed), c.number));
        let mut waiting: Vec<(u64, u64)> = waiting.collect();
        let going = AT_A_TIME.min(waiting.len().div_ceil(4));
        if going < waiting.len() {
            waiting.select_nth_unstable(going);
        }
        for (_, number) in waiting.iter().take(going) {
            if let Some(client) = clients.remove(number) {
                client.leave.notify_one();
            }
        }
        metrics::counter!("hubferry_connections_dropped_total").increment(going as u64);
        going > 0
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Client>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Completes when this client must be disconnected to make room for others.
    pub(super) async fn must_leave(&self) {
        self.client.leave.notified().await;
    }

    /// Notes that the client is given an answer.
    pub(super) fn answered(&self) {
        self.client.since.store(self.connections.now(), Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.lock().remove(&self.client.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_that_take_longest_are_disconnected_first_and_only_if_there_are_too_many() {
        let connections = Connections::new(8);
        let places: Vec<Place> = (0..8).map(|_| connections.add()).collect();
        for (since, place) in places.iter().enumerate() {
            place.client.since.store(since as u64, Ordering::Relaxed);
        }
        places[0].client.since.store(100, Ordering::Relaxed);
        assert_eq!(connections.lock().len(), 8);
        let _more = connections.add();
        places[1].must_leave().await;
        places[2].must_leave().await;
        assert_eq!(connections.lock().len(), 7, "a quarter of them has been disconnected");
        assert!(connections.lock().contains_key(&0));
        drop(places);
        assert_eq!(connections.lock().len(), 1);
    }
}
