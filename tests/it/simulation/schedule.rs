//! One schedule: what happens, in which order, and what must hold meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::worker::{Permits, Step, Worker, janitor};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::story;
use super::wire::{self, Fate, Pending};
use crate::soak::audit;
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
                version: "2026-09".parse().expect("a version"),
                token: token.clone().into(),
                timeout: Duration::from_secs(15),
            })
            .expect("a client");
            let (queue, name) = (world.queue.clone(), format!("simulated/{n}"));
            let (stop, live) = (CancellationToken::new(), world.live.clone());
            let permits =
                Permits::new(queue.clone(), client.clone(), live.clone(), false, &name, stop);
            Worker::new(queue, client, Arc::clone(&mapping), permits, live, fixed.clone(), name)
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
        // Faster than TRUNCATE, which makes files anew.
        sqlx::raw_sql(
            "DELETE FROM attempt; DELETE FROM crm_association; DELETE FROM sync_queue;
             DELETE FROM event; DELETE FROM crm_record; DELETE FROM hubspot_call; DELETE FROM gate;
             DELETE FROM audit; DELETE FROM tally; DELETE FROM pulse;
             SELECT setval(s.name, 1, false) FROM UNNEST(ARRAY[
                 'lease_token', 'event_no_seq', 'crm_record_id_seq', 'sync_queue_id_seq',
                 'attempt_id_seq', 'hubspot_call_id_seq']) AS s (name);
             UPDATE crm_portal SET day_used = 0",
        )
        .execute(self.world.queue.pool())
        .await
        .expect("empty tables");
        self.world.sandbox.clear_records();
    }

    fn note(&mut self, what: String) {
        self.trace.push(what);
    }

    /// One deed of anybody's.
    async fn deed(&mut self) {
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

    async fn pause(&mut self, paused: bool) {
        let verb = if paused { "/pause" } else { "/resume" };
        self.world.admin("POST", verb, Some(json!({}))).await;
        self.paused = paused;
        self.note(format!("a person: {verb}"));
    }

    async fn pass(&mut self, time: TimeDelta) {
        self.world.advance(time);
        self.ahead += time;
        janitor::tick(&self.world.queue).await.expect("a round");
        self.note(format!("{} s pass", time.num_seconds()));
    }

    /// The application tells of something, sometimes once more.
    async fn post(&mut self) {
        let mut body: Vec<Value> = Vec::new();
        for _ in 0..self.dice.random_range(1..4) {
            let again: Vec<&Value> = self.accepted.values().collect();
            match again.choose(&mut self.dice) {
                Some(&known) if self.dice.random_bool(0.1) => body.push(known.clone()),
                _ => {
                    self.told += 1;
                    body.push(story::event(&mut self.dice, self.told));
                }
            }
        }
        let told: Vec<String> = body
            .iter()
            .map(|e| {
                format!("{} {} {} {} {}", e["id"], e["type"], e["subject"], e["time"], e["data"])
            })
            .collect();
        self.note(format!("events: {}", told.join("; ")));
        self.world.accept(&json!(body)).await;
        for event in body {
            self.accepted.insert(event["id"].as_str().expect("an id").to_owned(), event);
        }
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

    /// Steps and lets time pass until nothing is outstanding.
    async fn rest(&mut self) {
        for _ in 0..200 {
            let mut turns = 0;
            loop {
                let moved = janitor::tick(&self.world.queue).await.expect("a round");
                let worker = self.workers[0].clone();
                let mut step = tokio::spawn(async move { worker.step().await.expect("a step") });
                let step = loop {
                    tokio::select! {
                        pending = self.arrivals.recv() => {
                            let pending = pending.expect("a wire");
                            let reply = pending.apply().await;
                            pending.decide(Fate::Reply(reply));
                        }
                        done = &mut step => break done.expect("a step does not panic"),
                    }
                };
                if step == Step::Idle && !moved {
                    break;
                }
                turns += 1;
                assert!(turns < 500, "the queue does not come to rest");
            }
            if self.world.queue.outstanding().await.expect("a count") == 0 {
                return;
            }
            self.until_something_is_due().await;
        }
        panic!("after days something is still outstanding");
    }

    /// Lets as much time pass as the next thing needs: a backoff, a lease, a gate, a wait.
    async fn until_something_is_due(&mut self) {
        let now = self.world.queue.now().await.expect("the time");
        let next: Option<DateTime<Utc>> = sqlx::query_scalar(
            "SELECT min(at) FROM (
                 SELECT due_at FROM crm_record WHERE deferred
                 UNION ALL SELECT lease_until FROM crm_record WHERE lease_token IS NOT NULL
                 UNION ALL SELECT until FROM gate) AS n (at) WHERE at > $1",
        )
        .bind(now)
        .fetch_one(self.world.queue.pool())
        .await
        .expect("a time");
        let wait = next.map_or(TimeDelta::minutes(5), |next| next - now);
        self.pass(wait + TimeDelta::milliseconds(1)).await;
    }

    /// What must hold at any moment.
    async fn holds(&mut self) {
        let now = self.world.queue.now().await.expect("the time");
        for (n, lease) in self.leases.iter().enumerate() {
            let (At::Call(..), Some((token, records, until))) = (&self.at[n], lease) else {
                continue;
            };
            let held: i64 =
                sqlx::query_scalar("SELECT count(*) FROM crm_record WHERE lease_token = $1")
                    .bind(token)
                    .fetch_one(self.world.queue.pool())
                    .await
                    .expect("a count");
            // Until it runs out nobody but its holder ends a lease.
            assert!(held == *records || *until <= now, "worker {n} holds {held} of {records}");
        }
        let wrong: Vec<String> = sqlx::query_scalar(
            "SELECT 'a row is open, and its record neither due nor leased: ' || q.id
             FROM sync_queue q JOIN crm_record r ON r.id = q.record_id
             WHERE q.status IN ('pending', 'retry') AND r.due_at IS NULL AND r.lease_token IS NULL
             UNION ALL
             SELECT 'due and leased at once: ' || id FROM crm_record
             WHERE due_at IS NOT NULL AND lease_token IS NOT NULL
             UNION ALL
             SELECT 'the totals are not the rows: ' || t.status || ' ' || t.rows || ' against ' || c.rows
             FROM (SELECT status, sum(rows) AS rows FROM tally GROUP BY 1) t
             FULL JOIN (SELECT CASE WHEN discarded_at IS NULL THEN status ELSE 'discarded' END AS status,
                               count(*) AS rows FROM sync_queue GROUP BY 1) c USING (status)
             WHERE COALESCE(t.rows, 0) <> COALESCE(c.rows, 0)",
        )
        .fetch_all(self.world.queue.pool())
        .await
        .expect("a look");
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        // One record each, whatever happened.
        for plural in ["contacts", "companies", "deals"] {
            let mut keys: Vec<String> = self
                .world
                .sandbox
                .objects(plural)
                .iter()
                .filter_map(|o| o.properties.get("hubferry_id").cloned())
                .collect();
            let all = keys.len();
            keys.sort();
            keys.dedup();
            assert_eq!(keys.len(), all, "a record stands twice in HubSpot");
        }
    }
}
