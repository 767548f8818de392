//! A soak: thousands of records through the whole system, with everything going wrong that can.
//!
//! Three seeds run with the other tests. Any others by command:
//!
//! - `make soak SEEDS=1,2,3`, or `HUBFERRY_SOAK_SEEDS=1,2,3 cargo test --test it soak::`: these;
//! - `make soak SOAK_COUNT=20`, or `HUBFERRY_SOAK_COUNT=20 cargo test --test it soak::`: so many
//!   fresh ones.
//!
//! Each seed is printed before it runs. The seed fixes what
//! happens and in which order; which of the three workers is faster is left to chance, as in life.
//!
//! What is left out: a worker that dies with a deleted record in its hands, or comes back to one
//! that was deleted meanwhile (such a doubt has nothing to be sent with, so nobody looks whether the
//! call created the record again), people editing properties of ours (nothing reads them back),
//! erasures, revoked tokens and lost scopes, the day's quota, and a window that is full: the queue's
//! clock is moved by hand here and HubSpot's is not, so `windows` proves the quota.

pub mod audit;
mod chaos;
pub mod model;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use futures_util::future::join_all;
use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars, is_part};
use hubferry::portals::{Connection, Permits, Portal};
use hubferry::queue::delivery::lease::Holder;
use hubferry::queue::delivery::settlement::{Certainty, Link, RowVerdict, Settlement};
use hubferry::queue::model::{Batch, Record, Stage};
use hubferry::worker::{Step, Worker, janitor};
use hubspot_sandbox::Faults;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Setup, World};
use chaos::Round;
use script::Entity;

/// Calls in ten seconds, here and there.
const LIMIT: u32 = 100_000;
/// Events of one request.
const BATCH: usize = 250;
/// A call that hangs costs this much.
const TIMEOUT: Duration = Duration::from_secs(2);

#[tokio::test]
async fn whatever_goes_wrong_hubspot_ends_as_the_events_say() {
    let seeds = seeds();
    let fixed = seeds.is_none();
    for (n, seed) in seeds.unwrap_or_else(|| vec![1, 2, 3]).into_iter().enumerate() {
        let records = if fixed && n > 0 { 1_500 } else { 5_000 };
        println!("seed {seed}, {records} records");
        let started = Instant::now();
        Soak::new(seed, records).await.run().await;
        println!("  {:?}", started.elapsed());
    }
}

/// The seeds asked for, if any.
fn seeds() -> Option<Vec<u64>> {
    #[expect(clippy::disallowed_methods, reason = "the tests' own settings")]
    let setting = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(list) = setting("HUBFERRY_SOAK_SEEDS") {
        return Some(list.split(',').map(|n| n.trim().parse().expect("a seed")).collect());
    }
    let count: usize = setting("HUBFERRY_SOAK_COUNT")?.parse().expect("a number");
    Some((0..count).map(|_| rand::rng().random()).collect())
}

struct Soak {
    world: World,
    mapping: Arc<Mapping>,
    workers: Vec<Worker>,
    dice: StdRng,
    entities: Vec<Entity>,
    events: Vec<Value>,
    /// What was accepted, by id.
    accepted: BTreeMap<String, Value>,
    /// What the dead hold.
    stale: Vec<Batch>,
    /// Entities whose records people have moved.
    moved: BTreeSet<usize>,
    /// Users whose contact people have merged with another user's.
    joined: BTreeSet<usize>,
    strangers: usize,
    /// Contacts that people made and have left alone since.
    theirs: BTreeSet<String>,
}

impl Soak {
    async fn new(seed: u64, records: usize) -> Self {
        let setup = Setup { timeout: TIMEOUT, ..Setup::default() };
        let fixed = setup.fixed();
        let token = setup.sandbox.token.clone();
        let world = World::with(setup).await;
        let mapping = Arc::new(Mapping::builtin(&Vars::default()).expect("the built-in files"));
        let another = |n: usize| {
            let client = Client::new(hubspot::Settings {
                api_url: world.hubspot_url.clone(),
                min_tls: hubspot::client::Tls::V1_3,
                version: "2026-09".parse().expect("a version"),
                token: token.clone().into(),
                timeout: TIMEOUT,
            })
            .expect("a client");
            let (queue, name) = (world.queue.clone(), format!("soak/{n}"));
            let stop = CancellationToken::new();
            let live = world.live.clone();
            let permits =
                Permits::new(queue.clone(), client.clone(), live.clone(), false, &name, stop);
            let portal = Portal::new(&queue, Arc::clone(&mapping), live);
            Worker::new(portal, Connection { client, permits }, fixed.clone(), name)
        };
        let workers = vec![world.worker.clone(), another(1), another(2)];
        let script = script::write(seed, records);
        Self {
            world,
            mapping,
            workers,
            // Not the script's dice over again.
            dice: StdRng::seed_from_u64(seed ^ 0x50a4),
            entities: script.entities,
            events: script.events,
            accepted: BTreeMap::new(),
            stale: Vec::new(),
            moved: BTreeSet::new(),
            joined: BTreeSet::new(),
            strangers: 0,
            theirs: BTreeSet::new(),
        }
    }

    async fn run(mut self) {
        let events = std::mem::take(&mut self.events);
        for batch in events.chunks(BATCH) {
            let round = Round::draw(&mut self.dice, &self.entities);
            self.round(round, batch).await;
        }
        self.world.sandbox.set_faults(Faults::default());
        self.come_back_late().await;
        // Nobody tells hubferry what people have moved: it learns so from the next change.
        let touched: Vec<Value> =
            self.moved.iter().map(|&n| script::touch(&self.entities[n], n)).collect();
        for batch in touched.chunks(BATCH) {
            self.accept(batch, 0).await;
        }
        self.rest().await;
        let mut failed = usize::MAX;
        for _ in 0..5 {
            // One that waited for another's address may have it only now.
            let now_failed = self.retry().await;
            self.rest().await;
            if now_failed == failed {
                break;
            }
            failed = now_failed;
        }
        let World { queue, sandbox, .. } = &self.world;
        let limit = LIMIT as usize;
        let told = audit::audit(queue, sandbox, &self.mapping, &self.accepted, limit).await;
        println!("  {told}");
        let contacts = sandbox.objects("contacts");
        let stands = |id: &&String| contacts.iter().any(|contact| contact.id == **id);
        let gone: Vec<&String> = self.theirs.iter().filter(|id| !stands(id)).collect();
        assert!(gone.is_empty(), "contacts that people made are gone: {gone:?}");
        println!("  {} contacts that people made stand", self.theirs.len());
    }

    async fn round(&mut self, round: Round, batch: &[Value]) {
        self.world.sandbox.set_faults(round.faults);
        self.people(&round.archived, &round.merged, &round.entered);
        self.join(&round.joined);
        self.accept(batch, round.again).await;
        if round.paused {
            self.world.admin("POST", "/pause", Some(json!({}))).await;
            let before = self.world.sandbox.calls().len();
            assert!(!self.turn().await, "paused");
            assert_eq!(self.world.sandbox.calls().len(), before, "paused");
            self.world.admin("POST", "/resume", Some(json!({}))).await;
        }
        for _ in 0..round.steps.0 {
            self.turn().await;
        }
        if round.crash {
            self.die().await;
        }
        self.world.advance(round.advance);
        janitor::tick(&self.world.queue).await.expect("a round");
        if round.late {
            self.come_back_late().await;
        }
        if round.retry {
            self.retry().await;
        }
        for _ in 0..round.steps.1 {
            self.turn().await;
        }
    }

    /// Sends `batch`, and `again` events that were sent before.
    async fn accept(&mut self, batch: &[Value], again: usize) {
        let known: Vec<&Value> = self.accepted.values().collect();
        let again: Vec<Value> =
            (0..again).filter_map(|_| known.choose(&mut self.dice).copied().cloned()).collect();
        let body: Vec<Value> = again.iter().chain(batch).cloned().collect();
        let answer = self.world.accept(&json!(body)).await;
        assert_eq!(answer["accepted"], json!(batch.len()), "{answer}");
        assert_eq!(answer["duplicates"], json!(again.len()), "{answer}");
        for event in batch {
            self.accepted.insert(event["id"].as_str().expect("an id").to_owned(), event.clone());
        }
    }

    /// Every worker steps once, all at the same time. Answers whether any found something to do.
    async fn turn(&self) -> bool {
        let steps = join_all(self.workers.iter().map(|worker| worker.step())).await;
        steps.into_iter().any(|step| step.expect("a step") != Step::Idle)
    }

    /// Steps and lets time pass until nothing is outstanding.
    async fn rest(&self) {
        let queue = &self.world.queue;
        for wait in 0..60 {
            let mut turns = 0;
            while janitor::tick(queue).await.expect("a round").moved | self.turn().await {
                turns += 1;
                assert!(turns < 3_000, "the queue does not come to rest");
            }
            if queue.outstanding().await.expect("a count") == 0 {
                return;
            }
            // Beyond every backoff, and at last beyond the wait for what a record lacks.
            let waits = if wait < 20 { TimeDelta::minutes(5) } else { TimeDelta::hours(9) };
            self.world.advance(waits);
        }
        let left: Vec<String> = sqlx::query_scalar(
            "SELECT r::text FROM crm_record r
             WHERE due_at IS NOT NULL OR lease_token IS NOT NULL OR link_mark IS NOT NULL
                OR EXISTS (SELECT 1 FROM sync_queue q
                           WHERE q.record_id = r.id AND q.status IN ('pending', 'retry'))
             LIMIT 5",
        )
        .fetch_all(queue.pool())
        .await
        .expect("records");
        panic!("after days something is still outstanding:\n{}", left.join("\n"));
    }

    async fn retry(&self) -> usize {
        let (status, answer) = self.world.admin("POST", "/retry", Some(json!({}))).await;
        assert_eq!(status, 200, "{answer}");
        usize::try_from(answer["retried"].as_u64().expect("a count")).expect("a count")
    }

    /// What people do in HubSpot.
    fn people(&mut self, archived: &[usize], merged: &[(usize, bool)], entered: &[usize]) {
        let sandbox = &self.world.sandbox;
        for &n in entered {
            let address = self.entities[n].address();
            let contact = sandbox.create("contacts", &[("email", address.as_str())]);
            // Refused where the address is taken.
            self.theirs.extend(Some(contact).filter(|id| !id.is_empty()));
        }
        let merged = merged.iter().map(|&(n, theirs)| (n, Some(theirs)));
        for (n, merges) in archived.iter().map(|&n| (n, None)).chain(merged) {
            let entity = &self.entities[n];
            let records = sandbox.objects(entity.plural());
            let ours = |key: Option<&String>| key == Some(&entity.id);
            let Some(record) = records.iter().find(|r| ours(r.properties.get("hubferry_id")))
            else {
                continue;
            };
            self.moved.insert(n);
            self.theirs.remove(&record.id);
            let Some(theirs) = merges else {
                sandbox.archive(entity.plural(), &record.id);
                continue;
            };
            self.strangers += 1;
            let email = format!("stranger{}@example.org", self.strangers);
            let own = if entity.kind == "user" { ("email", email.as_str()) } else { ("name", "B") };
            let stranger = sandbox.create(entity.plural(), &[own]);
            let (into, gone) =
                if theirs { (&stranger, &record.id) } else { (&record.id, &stranger) };
            sandbox.merge(entity.plural(), into, gone).expect("a survivor");
        }
    }

    /// People find that two users are one person, and merge their contacts.
    fn join(&mut self, pairs: &[(usize, usize)]) {
        let sandbox = &self.world.sandbox;
        for &(primary, other) in pairs {
            if primary == other || [primary, other].iter().any(|n| self.joined.contains(n)) {
                continue;
            }
            let contacts = sandbox.objects("contacts");
            let of = |n: usize| {
                let id = &self.entities[n].id;
                contacts.iter().find(|c| c.properties.get("hubferry_id") == Some(id))
            };
            let (Some(into), Some(gone)) = (of(primary), of(other)) else { continue };
            sandbox.merge("contacts", &into.id, &gone.id).expect("a survivor");
            self.theirs.retain(|id| *id != into.id && *id != gone.id);
            self.joined.extend([primary, other]);
            self.moved.extend([primary, other]);
        }
    }

    /// A process takes what is due, and is not heard of for a while.
    async fn die(&mut self) {
        let queue = &self.world.queue;
        let kinds: Vec<&str> =
            self.mapping.objects().iter().map(|o| o.sync_type.as_str()).collect();
        let now = queue.now().await.expect("the time");
        let Some(due) = queue.due(&kinds, now).await.expect("what is due") else { return };
        let holder = Holder { name: "dead".into(), ttl: TimeDelta::seconds(25) };
        if due.probe.is_some() {
            return;
        }
        let Some(mut batch) = queue.lease(&due, 40, &holder, now).await.expect("a batch") else {
            return;
        };
        let gone = |record: &Record| record.tombstone.is_some() && record.hubspot_id.is_none();
        let (deleted, held): (Vec<_>, Vec<_>) = batch.records.into_iter().partition(gone);
        let given_back: Vec<Settlement> =
            deleted.iter().map(|r| Settlement::release(r.id, r.doubt)).collect();
        queue.settle(&batch.lease, &given_back, None, now).await.expect("a settle");
        batch.records = held;
        self.stale.push(batch);
    }

    /// The dead come back after their lease: what they had sent arrives only now, and they settle.
    async fn come_back_late(&mut self) {
        let queue = &self.world.queue;
        self.world.advance(TimeDelta::seconds(26));
        janitor::tick(queue).await.expect("a round");
        for batch in self.stale.drain(..) {
            let plural = &self.mapping.object(&batch.sync_type).expect("a kind").plural;
            let mut late = Vec::new();
            let ids: Vec<i64> = batch.records.iter().map(|record| record.id).collect();
            let deleted: Vec<i64> = sqlx::query_scalar(
                "SELECT id FROM crm_record
                 WHERE id = ANY($1) AND hubspot_id IS NULL AND tombstone_at IS NOT NULL",
            )
            .bind(ids)
            .fetch_all(queue.pool())
            .await
            .expect("records");
            for record in batch.records.into_iter().filter(|record| !deleted.contains(&record.id)) {
                for (name, old) in
                    record.accepted.iter().filter(|(name, _)| *name != "email" && !is_part(name))
                {
                    let id = record.hubspot_id.as_deref().unwrap_or_default();
                    if batch.stage == Stage::Update {
                        self.world.sandbox.edit(plural, id, &[(name.as_str(), old.value.as_str())]);
                    }
                }
                let mut settlement = Settlement::release(record.id, record.doubt);
                settlement.certainty = Certainty::Certain;
                settlement.link = Link::Set("666".into());
                let written = |id| (id, RowVerdict::Written(Vec::new()));
                settlement.rows = record.rows.iter().map(|row| written(row.id)).collect();
                late.push(settlement);
            }
            let now = queue.now().await.expect("the time");
            let settled = queue.settle(&batch.lease, &late, None, now).await.expect("a settle");
            assert_eq!((settled.records, settled.fenced), (0, late.len()), "too late");
        }
    }
}
