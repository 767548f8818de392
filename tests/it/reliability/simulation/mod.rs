//! The engine under thousands of schedules: few records, three workers, and at every call a choice
//! of what happens next, all of it from a seed.
//!
//! The engine is the real one, on a real Postgres: [`Worker::step`], the door, the janitor, the
//! admin's verbs. What is simulated is time (the queue's clock), HubSpot (the sandbox) and the wire
//! between them, on which every call stops until the schedule decides: it arrives, now or after
//! others have acted for minutes; its reply is lost; it never arrives; HubSpot fails; the process
//! dies before or after it. One thing moves at a time, so a seed replays exactly.
//!
//! At the end HubSpot heals, everybody comes back, and the audit of the soak compares HubSpot with
//! what the events say, computed without the engine's fold: every row ended, one record each, the
//! newest value of every property, associations, nothing leased, due or doubtful. Before that, now and
//! then, what must hold at any moment.
//!
//! - `make simulate SEEDS=7,8` runs these; the trace of a failing one is printed.
//! - `make simulate COUNT=10000` runs so many fresh ones.

mod schedule;
mod story;
mod wire;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt as _;
use rand::Rng as _;

use schedule::Lane;

/// Schedules that run with the other tests.
const COUNT: u64 = 2_000;
/// As many at a time as there are cores here and in most places where tests run.
const LANES: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_order_hubspot_ends_as_the_events_say() {
    let seeds = seeds();
    let (count, started) = (seeds.len(), Instant::now());
    let (seeds, next) = (Arc::new(seeds), Arc::new(AtomicU64::new(0)));
    let lanes = (0..LANES.min(count)).map(|_| {
        let (seeds, next) = (Arc::clone(&seeds), Arc::clone(&next));
        tokio::spawn(async move {
            let mut lane = Lane::new().await;
            loop {
                let place = next.fetch_add(1, Ordering::SeqCst);
                let Some(&seed) = usize::try_from(place).ok().and_then(|n| seeds.get(n)) else {
                    return Ok(());
                };
                let run = AssertUnwindSafe(lane.run(seed)).catch_unwind().await;
                if run.is_err() {
                    // The others need not go on.
                    next.store(u64::MAX / 2, Ordering::SeqCst);
                    let trace = lane.trace.join("\n  ");
                    return Err(format!(
                        "seed {seed} fails (the reason is above); \
                         `make simulate SEEDS={seed}` replays it:\n  {trace}"
                    ));
                }
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        if let Err(told) = lane.await.expect("a lane") {
            panic!("{told}");
        }
    }
    println!("{count} schedules in {:?}", started.elapsed());
}

fn seeds() -> Vec<u64> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(list) = setting("HUBFERRY_SIMULATION_SEEDS") {
        return list.split(',').map(|n| n.trim().parse().expect("a seed")).collect();
    }
    match setting("HUBFERRY_SIMULATION_COUNT") {
        Some(count) => {
            let count: usize = count.parse().expect("a number");
            (0..count).map(|_| rand::rng().random_range(0..1 << 48)).collect()
        }
        None => (0..COUNT).collect(),
    }
}
