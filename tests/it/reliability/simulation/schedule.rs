//! One schedule: what happens, in which order, and what must hold meanwhile.

mod checks;
mod people;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::portals::{Connection, Permits, Portal};
use hubferry::worker::{Worker, janitor};
use hubspot_sandbox::Faults;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::story::Theme;
use super::wire::{self, Fate, Pending};
use crate::reliability::soak::audit;
use crate::support::{Setup, World};

const WORKERS: usize = 3;
/// Calls in ten seconds: more than there are.
const LIMIT: usize = 100_000;
/// Deeds of one schedule, before everything heals.
const DEEDS: std::ops::Range<usize> = 6..24;
/// What a worker is at.
enum At {
    Rest,
    /// Its step waits for the fate of a call.
    Call(JoinHandle<()>, Box<Pending>),
}

/// A database, an account and three workers, used by one schedule after the other.
pub struct Lane {
    world: World,
    mapping: Arc<Mapping>,
    workers: Vec<Worker>,
    arrivals: mpsc::UnboundedReceiver<Pending>,
    at: Vec<At>,
    /// The token, the records and the end of the lease of each worker that is at a call.
    leases: Vec<Option<(i64, i64, DateTime<Utc>)>>,
    dice: StdRng,
    accepted: BTreeMap<String, Value>,
    /// Events so far.
    told: usize,
    ahead: TimeDelta,
    paused: bool,
    theme: Theme,
    /// Subjects whose erasure was accepted.
    erased: BTreeSet<String>,
    /// The two contacts are one in HubSpot.
    merged: bool,
    pub trace: Vec<String>,
}

impl Lane {
    pub async fn new() -> Self {
        let setup = Setup { timeout: Duration::from_secs(15), ..Setup::default() };
        let (fixed, token) = (setup.fixed(), setup.sandbox.token.clone());
        let world = World::with(setup).await;
        let mapping = Arc::new(Mapping::builtin(&Vars::default()).expect("the built-in files"));
        let (wire, arrivals) = wire::start(&world.hubspot_url).await;
        let worker = |n: usize| {
            let client = Client::new(hubspot::Settings {
                api_url: format!("{wire}/{n}"),
                min_tls: hubspot::client::Tls::V1_3,
                version: "2026-09".parse().expect("a version"),
                token: token.clone().into(),
                timeout: Duration::from_secs(15),
            })
            .expect("a client");
            let (queue, name) = (world.queue.clone(), format!("simulated/{n}"));
            let (stop, live) = (CancellationToken::new(), world.live.clone());
            let permits =
                Permits::new(queue.clone(), client.clone(), live.clone(), false, &name, stop);
            let portal = Portal::new(&queue, Arc::clone(&mapping), live);
            Worker::new(portal, Connection { client, permits }, fixed.clone(), name)
        };
        let workers: Vec<Worker> = (0..WORKERS).map(worker).collect();
        Self {
            at: workers.iter().map(|_| At::Rest).collect(),
            leases: vec![None; WORKERS],
            dice: StdRng::seed_from_u64(0),
            accepted: BTreeMap::new(),
            told: 0,
            ahead: TimeDelta::zero(),
            paused: false,
            theme: Theme::Plain,
            erased: BTreeSet::new(),
            merged: false,
            trace: Vec::new(),
            world,
            mapping,
            workers,
            arrivals,
        }
    }

    /// Runs the schedule of `seed` from empty tables and an empty account.
    pub async fn run(&mut self, seed: u64) {
        self.reset(seed).await;
        for _ in 0..self.dice.random_range(DEEDS) {
            self.deed().await;
            // It costs as much as many a deed.
            if self.dice.random_range(0..3) == 0 {
                self.holds().await;
            }
        }
        self.note("all heals".into());
        for worker in 0..WORKERS {
            while matches!(self.at[worker], At::Call(..)) {
                self.arrives(worker).await;
            }
        }
        if self.paused {
            self.pause(false).await;
        }
        self.rest().await;
        if self.merged {
            self.both_are_written().await;
            self.one_is_deleted().await;
        }
        let silent: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM sync_queue
                 WHERE status = 'failed' AND error_code = 'UNANSWERED'",
        )
        .fetch_one(self.world.queue.pool())
        .await
        .expect("a count");
        assert_eq!(silent, 0, "HubSpot answers all that it is asked");
        // One that failed for what it lacked may have it by now.
        let retried = self.world.admin("POST", "/retry", Some(json!({}))).await.1;
        if retried["retried"].as_u64().is_some_and(|n| n > 0) {
            self.rest().await;
        }
        let World { queue, sandbox, .. } = &self.world;
        audit::audit(queue, sandbox, &self.mapping, &self.accepted, LIMIT).await;
    }

    async fn reset(&mut self, seed: u64) {
        for at in &mut self.at {
            if let At::Call(step, _) = std::mem::replace(at, At::Rest) {
                step.abort();
            }
        }
        while self.arrivals.try_recv().is_ok() {}
        self.dice = StdRng::seed_from_u64(seed);
        self.trace = vec![format!("seed {seed}")];
        self.accepted.clear();
        self.told = 0;
        self.world.advance(-self.ahead);
        (self.ahead, self.paused) = (TimeDelta::zero(), false);
        (self.theme, self.merged) = (Theme::of(seed), false);
        self.erased.clear();
        // Faster than TRUNCATE, which makes files anew.
        sqlx::raw_sql(
            "DELETE FROM attempt; DELETE FROM crm_association; DELETE FROM sync_queue;
             DELETE FROM event; DELETE FROM crm_record; DELETE FROM hubspot_call; DELETE FROM gate;
             DELETE FROM audit; DELETE FROM tally; DELETE FROM pulse; DELETE FROM row_email;
             SELECT setval(s.name, 1, false) FROM UNNEST(ARRAY[
                 'lease_token', 'event_no_seq', 'crm_record_id_seq', 'sync_queue_id_seq',
                 'attempt_id_seq', 'hubspot_call_id_seq']) AS s (name);
             UPDATE crm_portal SET day_used = 0",
        )
        .execute(self.world.queue.pool())
        .await
        .expect("empty tables");
        self.world.sandbox.clear_records();
        let merge_keeps_primary_id = self.theme == Theme::Merges && self.dice.random_bool(0.5);
        self.world.sandbox.set_faults(Faults { merge_keeps_primary_id, ..Faults::default() });
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    /// One deed of anybody's.
    async fn deed(&mut self) {
        if self.theme == Theme::Merges && !self.merged && self.dice.random_bool(0.2) {
            self.merge().await;
        }
        match self.dice.random_range(0..100) {
            0..22 => self.post().await,
            22..50 => {
                let worker = self.dice.random_range(0..WORKERS);
                match self.at[worker] {
                    At::Rest => self.step(worker).await,
                    At::Call(..) => self.fate(worker).await,
                }
            }
            50..76 => {
                let busy: Vec<usize> =
                    (0..WORKERS).filter(|&n| matches!(self.at[n], At::Call(..))).collect();
                match busy.choose(&mut self.dice) {
                    Some(&worker) => self.fate(worker).await,
                    None => self.step(0).await,
                }
            }
            76..92 => {
                let seconds =
                    *[1, 20, 30, 60, 130, 300, 1_800].choose(&mut self.dice).expect("one");
                self.pass(TimeDelta::seconds(seconds)).await;
            }
            92..96 => {
                let answer = self.world.admin("POST", "/retry", Some(json!({}))).await.1;
                self.note(format!("a person retries what failed: {}", answer["retried"]));
            }
            _ => self.pause(!self.paused).await,
        }
    }

    async fn pass(&mut self, time: TimeDelta) {
        self.world.advance(time);
        self.ahead += time;
        let round = janitor::tick(&self.world.queue).await.expect("a round");
        assert_eq!(round.stranded, 0, "open rows that nobody would have taken");
        self.note(format!("{} s pass", time.num_seconds()));
    }

    /// A worker begins a step, which ends or comes to its call.
    async fn step(&mut self, n: usize) {
        let worker = self.workers[n].clone();
        let step = tokio::spawn(async move {
            worker.step().await.expect("a step");
        });
        self.goes_on(n, step).await;
    }

    /// Until the step of worker `n` ends or comes to a call.
    async fn goes_on(&mut self, n: usize, mut step: JoinHandle<()>) {
        tokio::select! {
            pending = self.arrivals.recv() => {
                let pending = pending.expect("a wire");
                assert_eq!(pending.worker, n, "one thing moves at a time");
                self.note(format!("worker {n} calls {}", pending.path));
                self.at[n] = At::Call(step, Box::new(pending));
                self.leases[n] = sqlx::query_as(
                    "SELECT lease_token, count(*), min(lease_until) FROM crm_record
                     WHERE lease_holder = $1 GROUP BY 1",
                )
                .bind(format!("simulated/{n}"))
                .fetch_optional(self.world.queue.pool())
                .await
                .expect("a lease");
            }
            done = &mut step => {
                done.expect("a step does not panic");
                self.note(format!("worker {n} ends its step"));
                self.at[n] = At::Rest;
            }
        }
    }

    /// The call of worker `n` reaches HubSpot, and its reply the worker.
    async fn arrives(&mut self, n: usize) {
        let At::Call(step, pending) = std::mem::replace(&mut self.at[n], At::Rest) else { return };
        self.note(format!("worker {n}: its call arrives, and the reply"));
        let reply = pending.apply().await;
        pending.decide(Fate::Reply(reply));
        self.goes_on(n, step).await;
    }

    /// Something becomes of the call of worker `n`.
    async fn fate(&mut self, n: usize) {
        let draw = self.dice.random_range(0..100);
        if draw < 55 {
            return self.arrives(n).await;
        }
        let At::Call(step, pending) = std::mem::replace(&mut self.at[n], At::Rest) else { return };
        let applied = draw % 2 == 0;
        let how = if applied { "carried out" } else { "not carried out" };
        if applied {
            drop(pending.apply().await);
        }
        match draw {
            55..70 => {
                self.note(format!("worker {n}: its call is {how}, the connection breaks"));
                pending.decide(Fate::Cut);
            }
            70..85 => {
                self.note(format!("worker {n}: its call is {how}, HubSpot answers 503"));
                pending.decide(Fate::Status(503));
            }
            _ => {
                self.note(format!("worker {n} dies; its call was {how}"));
                step.abort();
                step.await.ok();
                return;
            }
        }
        self.goes_on(n, step).await;
    }
}
