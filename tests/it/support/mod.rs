//! A world of one test: its own database, sandbox, server and hand-stepped worker.

pub mod binary;
pub mod browser;
pub mod files;
pub mod gulf;
pub mod pooler;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::TimeDelta;
use hubferry::access::Access;
use hubferry::config::{Config, Environment};
use hubferry::http::events::body::Room;
use hubferry::http::events::parser::Parser;
use hubferry::http::events::rate::Rate;
use hubferry::http::{IngestSettings, Shared, router};
use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::operator::Operator;
use hubferry::portals::{Connection, Limits, Permits, Portal};
use hubferry::queue::Queue;
use hubferry::queue::delivery::lease::Holder;
use hubferry::queue::intake::Intake;
use hubferry::queue::model::Batch;
use hubferry::settings::{Base, Bounds, Live, Values};
use hubferry::worker::{Fixed, Step, Worker, janitor};
use hubspot_sandbox::{Sandbox, Settings};
use pg_cluster::{Cluster, Options};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

pub const INGEST_KEY: &str = "an-ingest-key-of-the-tests-0123456789";
pub const ADMIN_KEY: &str = "the-admin-key-of-the-tests-9876543210";
/// The sample events that are built into the demo.
pub const SAMPLES: &str = include_str!("../../../config/samples.ndjson");

/// A fresh, empty database: in the server of `DATABASE_URL`, else in a private cluster.
pub async fn database() -> PgConnectOptions {
    let name = format!("hubferry_test_{}", uuid::Uuid::new_v4().simple());
    #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
    let url = std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty());
    if let Some(url) = url {
        let options: PgConnectOptions = url.parse().expect("DATABASE_URL");
        let mut connection = options.connect().await.expect("DATABASE_URL answers");
        let statement = AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(statement).execute(&mut connection).await.expect("a database");
        connection.close().await.ok();
        return options.database(&name);
    }
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    let cluster = tokio::task::spawn_blocking(|| {
        CLUSTER.get_or_init(|| {
            #[expect(clippy::disallowed_methods, reason = "the tests' own setting")]
            let path = std::env::var_os("PATH");
            Cluster::temporary(Options { path, ..Options::default() }).expect("a private Postgres")
        })
    });
    cluster.await.expect("a cluster").create_database(&name).await.expect("a database")
}

/// What a test may want otherwise.
pub struct Setup {
    pub sandbox: Settings,
    pub limits: Limits,
    pub timeout: Duration,
    pub version: &'static str,
    /// Whether the account has been set up.
    pub prepared: bool,
    /// Instead of the built-in files.
    pub mapping: Option<Mapping>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            sandbox: Settings { limit_per_10s: 100_000, ..Settings::default() },
            limits: Limits { per_window: 100_000, per_day: 1_000_000, grows: false },
            // The whole world shares a thread: where that stands still, so does the sandbox.
            timeout: Duration::from_secs(15),
            version: "2026-09",
            prepared: true,
            mapping: None,
        }
    }
}

impl Setup {
    /// The settings that a worker of this setup runs with.
    pub fn values(&self) -> Values {
        Values {
            limit_per_10s: self.limits.per_window,
            limit_per_day: self.limits.per_day,
            timeout: self.timeout,
            ..defaults()
        }
    }

    pub fn fixed(&self) -> Fixed {
        let lease = Duration::from_secs(25);
        Fixed { lease, namespace: None, learn_limits: self.limits.grows }
    }

    /// The same, live.
    pub fn live(&self, queue: &Queue, mapping: &Mapping) -> Live {
        let bounds = Bounds {
            longest_timeout: 19,
            event_types: Some(mapping.event_types().into_iter().collect()),
            can_send: true,
        };
        Live::new(queue.clone(), Base::new(self.values(), &defaults(), BTreeMap::new(), bounds))
    }
}

/// The settings that are compiled in.
pub fn defaults() -> Values {
    Config::load(None, &Environment::default()).expect("the defaults").values()
}

/// Everything of one test. Nothing in it moves unless the test steps it.
pub struct World {
    pub queue: Queue,
    pub database: PgConnectOptions,
    pub sandbox: Sandbox,
    pub hubspot_url: String,
    pub worker: Worker,
    pub live: Live,
    pub url: String,
    pub http: reqwest::Client,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        hubspot::client::install_tls();
        let database = database().await;
        let pool = PgPoolOptions::new().max_connections(6).connect_with(database.clone()).await;
        let queue = Queue::new(pool.expect("a pool"));
        queue.migrate().await.expect("the schema");

        let fixed = setup.fixed();
        let builtin = || Mapping::builtin(&Vars::default()).expect("the built-in files");
        let mapping = Arc::new(setup.mapping.clone().unwrap_or_else(builtin));
        let live = setup.live(&queue, &mapping);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hubspot_url = format!("http://{}", listener.local_addr().expect("an address"));
        let token = setup.sandbox.token.clone();
        let sandbox = Sandbox::new(setup.sandbox);
        tokio::spawn(sandbox.clone().serve(listener, std::future::pending()));

        let client = Client::new(hubspot::Settings {
            api_url: hubspot_url.clone(),
            min_tls: hubspot::client::Tls::V1_3,
            version: setup.version.parse().expect("a version"),
            token: token.into(),
            timeout: setup.timeout,
        })
        .expect("a client");
        if setup.prepared {
            let version = client.version().clone();
            hubspot::setup::setup(&client, &version, &mapping, false)
                .await
                .expect("a set-up account");
            sandbox.clear_calls();
        }
        let stop = CancellationToken::new();
        let grows = fixed.learn_limits;
        let permits =
            Permits::new(queue.clone(), client.clone(), live.clone(), grows, "test", stop);
        let portal = Portal::new(&queue, Arc::clone(&mapping), live.clone());
        let worker = Worker::new(portal, Connection { client, permits }, fixed, "test/0".into());
        let url = open_door(&queue, &mapping, &live).await;
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { queue, database, sandbox, hubspot_url, worker, live, url, http }
    }

    /// The address of another replica's door, over `queue`.
    pub async fn another_door(&self, queue: &Queue) -> String {
        let mapping = Arc::new(Mapping::builtin(&Vars::default()).expect("the built-in files"));
        open_door(queue, &mapping, &self.live).await
    }

    /// Posts `body` as JSON with the ingest key.
    pub async fn post(&self, body: &Value) -> (u16, Value) {
        self.post_as("application/json", body.to_string()).await
    }

    pub async fn post_as(
        &self,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        self.post_to(&self.url, content_type, body).await
    }

    /// Posts to the door at `url`.
    pub async fn post_to(
        &self,
        url: &str,
        content_type: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, Value) {
        let request = self.http.post(format!("{url}/v1/events")).bearer_auth(INGEST_KEY);
        let reply =
            request.header("content-type", content_type).body(body).send().await.expect("a reply");
        (reply.status().as_u16(), reply.json().await.unwrap_or(Value::Null))
    }

    /// Waits until `statements` of this database wait for a lock, and for longer than a lane of the
    /// intake does: what a lane gives up begins again aside, with a new time.
    pub async fn blocked(&self, statements: i64) {
        let waiting = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'
              AND clock_timestamp() - query_start > interval '200 ms'";
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            let now: i64 =
                sqlx::query_scalar(waiting).fetch_one(self.queue.pool()).await.expect("a count");
            if now >= statements {
                return;
            }
        }
    }

    /// Posts `body`, which must be accepted.
    pub async fn accept(&self, body: &Value) -> Value {
        let (status, answer) = self.post(body).await;
        assert_eq!(status, 202, "{answer}");
        answer
    }

    pub async fn admin(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let method: reqwest::Method = method.parse().expect("a method");
        let mut request = self
            .http
            .request(method, format!("{}/admin/sync{path}", self.url))
            .bearer_auth(ADMIN_KEY);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let reply = request.send().await.expect("a reply");
        (reply.status().as_u16(), reply.json().await.unwrap_or(Value::Null))
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.admin("GET", path, None).await;
        assert_eq!(status, 200, "{body}");
        body
    }

    /// The row of this number.
    pub async fn row(&self, id: &str) -> Value {
        self.get(&format!("/queue/{id}")).await
    }

    pub async fn step(&self) -> Step {
        self.worker.step().await.expect("a step")
    }

    /// Takes a lease of twenty seconds on what is due of a kind, as a worker that is slow afterwards.
    pub async fn lease(&self, kind: &str) -> Batch {
        let now = self.queue.now().await.unwrap();
        let due = self.queue.due(&[kind], now).await.unwrap().expect("something due");
        let holder = Holder { name: "by hand".into(), ttl: TimeDelta::seconds(20) };
        self.queue.lease(&due, 100, &holder, now).await.unwrap().expect("a batch")
    }

    /// Steps until nothing is due; answers the calls made.
    pub async fn drain(&self) -> usize {
        self.drain_by(&self.worker).await
    }

    /// The same with another mapping, as after a restart with other files.
    pub async fn drain_with(&self, mapping: Mapping) -> usize {
        self.drain_by(&self.worker.with_mapping(Arc::new(mapping))).await
    }

    async fn drain_by(&self, worker: &Worker) -> usize {
        let mut calls = 0;
        for _ in 0..2_000 {
            let round = janitor::tick(&self.queue).await.expect("a round");
            assert_eq!(round.stranded, 0, "open rows that nobody would have taken");
            match worker.step().await.expect("a step") {
                Step::Worked { calls: more, .. } => calls += more,
                Step::Idle => return calls,
            }
        }
        panic!("the queue does not come to rest");
    }

    pub fn advance(&self, by: TimeDelta) {
        self.queue.advance(by);
    }

    /// The only record of a kind.
    pub fn only(&self, kind: &str) -> std::collections::BTreeMap<String, String> {
        let mut records = self.sandbox.objects(kind);
        assert_eq!(records.len(), 1, "{kind}: {records:?}");
        records.remove(0).properties
    }

    /// Write calls of the sandbox's log whose path contains `part`.
    pub fn calls(&self, part: &str) -> usize {
        self.sandbox.calls().iter().filter(|c| c.method != "GET" && c.path.contains(part)).count()
    }
}

/// Serves the HTTP interface of `queue`; answers its address.
async fn open_door(queue: &Queue, mapping: &Arc<Mapping>, live: &Live) -> String {
    let (intake, lanes) = Intake::new(queue, &Arc::default(), Duration::from_secs(5));
    for lane in lanes {
        tokio::spawn(lane);
    }
    let access = Access::new(queue, INGEST_KEY, ADMIN_KEY);
    let portal = Portal::new(queue, Arc::clone(mapping), live.clone());
    let operator = Operator::new(portal, access.clone(), CancellationToken::new());
    let state = Shared {
        operator,
        queue: queue.clone(),
        intake,
        mapping: Arc::clone(mapping),
        access,
        turns: Arc::new(Semaphore::new(3)),
        draining: CancellationToken::new(),
        is_https: false,
        room: Room::new(16 * 1024 * 1024),
        parser: Parser::start().expect("a thread"),
        rate: Rate::default(),
        ingest: Arc::new(IngestSettings {
            default_source: "app".into(),
            max_ahead: TimeDelta::minutes(5),
            max_body: 8 * 1024 * 1024,
            max_events: 10_000,
        }),
        metrics: hubferry::telemetry::start_metrics().expect("metrics"),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let service =
        router(state.into()).into_make_service_with_connect_info::<std::net::SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

/// A user event.
pub fn user(id: &str, subject: &str, time: &str, data: Value) -> Value {
    event(id, "user.updated", subject, time, data)
}

pub fn event(id: &str, kind: &str, subject: &str, time: &str, data: Value) -> Value {
    json!({ "specversion": "1.0", "id": id, "source": "test", "type": kind, "subject": subject,
            "time": time, "data": data })
}

/// The number of the first row of an answer's event `index`.
pub fn row_id(answer: &Value, index: usize) -> String {
    answer["events"][index]["rows"][0]["id"].as_str().expect("a row").to_owned()
}

/// The sample events, parsed.
pub fn samples() -> Vec<Value> {
    SAMPLES.lines().map(|line| serde_json::from_str(line).expect("a sample")).collect()
}
