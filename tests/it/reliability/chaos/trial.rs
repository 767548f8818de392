//! What every trial has: a database, an account, real servers, and an application that goes on
//! sending whatever happens to them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::queue::Queue;
use hubspot_sandbox::{Faults, Sandbox, Settings};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use crate::reliability::soak::audit;
use crate::support::binary::Server;
use crate::support::{INGEST_KEY, event};

/// Calls in ten seconds, here and there.
const LIMIT: usize = 100;
/// Short enough for a trial: the time-out and the settle's margin must lie within the lease.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("HUBSPOT_TIMEOUT", "1"),
    ("HUBFERRY__WORKER__LEASE_SECONDS", "7"),
    ("HUBSPOT_RETRY_DELAY", "200"),
    ("HUBSPOT_MAX_RETRIES", "20"),
    ("HUBSPOT_CB_TIMEOUT", "1"),
];
/// How long the application waits for an answer; longer than the service waits for a lock.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a trial waits for what must come, on a slow machine too.
const LONGEST: Duration = Duration::from_secs(240);
/// Events of one body.
const BODY: usize = 10;

pub struct Trial {
    pub database: PgConnectOptions,
    pub queue: Queue,
    pub sandbox: Sandbox,
    pub hubspot_url: String,
    mapping: Mapping,
}

impl Trial {
    /// Seeded for the sandbox; HubSpot takes a moment for each call.
    pub async fn new(database: PgConnectOptions) -> Self {
        hubspot::client::install_tls();
        let pool = PgPoolOptions::new().max_connections(3).connect_lazy_with(database.clone());
        let queue = Queue::new(pool);
        queue.migrate().await.expect("the schema");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let hubspot_url = format!("http://{}", listener.local_addr().expect("an address"));
        let limit_per_10s = u32::try_from(LIMIT).expect("a limit");
        let sandbox = Sandbox::new(Settings { limit_per_10s, ..Settings::default() });
        tokio::spawn(sandbox.clone().serve(listener, std::future::pending()));
        let client = Client::new(hubspot::Settings {
            api_url: hubspot_url.clone(),
            min_tls: hubspot::client::Tls::V1_3,
            version: "2026-09".parse().expect("a version"),
            token: Settings::default().token.into(),
            timeout: Duration::from_secs(5),
        })
        .expect("a client");
        let mapping = Mapping::builtin(&Vars::default()).expect("the built-in files");
        let version = client.version().clone();
        hubspot::setup::setup(&client, &version, &mapping, false).await.expect("an account");
        // The set-up's calls are in no ledger: the window begins anew.
        sandbox.clear_records();
        sandbox.set_faults(Faults { latency_ms: Some(30), ..Faults::default() });
        Self { database, queue, sandbox, hubspot_url, mapping }
    }

    pub async fn server(&self) -> Server {
        self.server_at(&self.database, &[]).await
    }

    /// One that reaches the database by another way.
    pub async fn server_at(&self, database: &PgConnectOptions, more: &[(&str, &str)]) -> Server {
        Server::start(database, &self.hubspot_url, &[&ENVIRONMENT[..], more].concat()).await
    }

    /// One that reaches HubSpot by another way.
    pub async fn server_over(&self, hubspot_url: &str) -> Server {
        Server::start(&self.database, hubspot_url, &ENVIRONMENT).await
    }

    /// How many records are leased to the workers of a server.
    pub async fn leased_by(&self, server: &Server) -> i64 {
        self.leased(&holder(server)).await
    }

    /// How many records are leased to a [`holder`].
    pub async fn leased(&self, holder: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM crm_record WHERE lease_holder LIKE $1 || '%'")
            .bind(holder)
            .fetch_one(self.queue.pool())
            .await
            .expect("a count")
    }

    /// Waits until nothing is left to do, and compares everything.
    pub async fn audit(&self, accepted: &BTreeMap<String, Value>) {
        let deadline = Instant::now() + LONGEST;
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        while self.queue.outstanding().await.map_or(true, |open| open > 0) {
            assert!(Instant::now() < deadline, "something is still outstanding");
            ticks.tick().await;
        }
        let limit = LIMIT;
        println!(
            "  {}",
            audit::audit(&self.queue, &self.sandbox, &self.mapping, accepted, limit).await
        );
        let refused = self.sandbox.calls().iter().filter(|c| c.status == 429).count();
        assert_eq!(refused, 0, "HubSpot never has to say that we are too fast");
    }
}

/// What the names of a server's workers begin with.
pub fn holder(server: &Server) -> String {
    format!("{}-", server.child.id().expect("running"))
}

/// The application: sends events, each body until it has been accepted.
pub struct Application {
    /// Where it sends; changes when a server does.
    pub urls: watch::Sender<Vec<String>>,
    accepted: Arc<Mutex<BTreeMap<String, Value>>>,
    bodies: watch::Receiver<usize>,
    refusals: watch::Receiver<usize>,
    stop: tokio_util::sync::CancellationToken,
    sending: tokio::task::JoinHandle<()>,
}

impl Application {
    pub fn start(seed: u64, urls: Vec<String>) -> Self {
        let (urls, known) = watch::channel(urls);
        let (told, bodies) = watch::channel(0);
        let (refused, refusals) = watch::channel(0);
        let accepted: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
        let stop = tokio_util::sync::CancellationToken::new();
        let (all, ended) = (Arc::clone(&accepted), stop.clone());
        let sending = tokio::spawn(async move {
            let http =
                reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client");
            let mut dice = StdRng::seed_from_u64(seed);
            let (mut number, mut turn) = (0_usize, 0_usize);
            let mut pace = tokio::time::interval(Duration::from_millis(15));
            while !ended.is_cancelled() {
                let body: Vec<Value> = (0..BODY).map(|n| draw(&mut dice, number + n)).collect();
                number += BODY;
                loop {
                    pace.tick().await;
                    turn += 1;
                    let url = {
                        let urls = known.borrow();
                        urls[turn % urls.len()].clone()
                    };
                    let request = http.post(format!("{url}/v1/events")).bearer_auth(INGEST_KEY);
                    match request.json(&body).send().await {
                        Ok(reply) if reply.status() == 202 => break,
                        Ok(reply) => {
                            assert_eq!(reply.status(), 503, "{:?}", reply.text().await);
                            refused.send_modify(|refusals| *refusals += 1);
                        }
                        // No answer says nothing: it is sent again.
                        Err(_) => {}
                    }
                }
                let mut all = all.lock().await;
                for event in body {
                    all.insert(event["id"].as_str().expect("an id").to_owned(), event);
                }
                told.send_modify(|bodies| *bodies += 1);
            }
        });
        Self { urls, accepted, bodies, refusals, stop, sending }
    }

    /// Waits until `more` further bodies have been accepted.
    pub async fn sends(&self, more: usize) {
        further(&self.bodies, more, "events are accepted in time").await;
    }

    /// Waits until `more` further bodies have been answered with 503.
    pub async fn is_refused(&self, more: usize) {
        further(&self.refusals, more, "events are refused in time").await;
    }

    /// Sends what it is at and ends; answers all that was accepted.
    pub async fn end(self) -> BTreeMap<String, Value> {
        self.stop.cancel();
        tokio::time::timeout(LONGEST, self.sending)
            .await
            .expect("the last body is accepted in time")
            .expect("an application");
        std::mem::take(&mut *self.accepted.lock().await)
    }
}

async fn further(count: &watch::Receiver<usize>, more: usize, what: &str) {
    let mut count = count.clone();
    let wanted = *count.borrow_and_update() + more;
    tokio::time::timeout(LONGEST, count.wait_for(|count| *count >= wanted))
        .await
        .expect(what)
        .expect("an application");
}

/// An event of one of eighty records, at one of few times; each says all that a creation needs.
fn draw(dice: &mut StdRng, n: usize) -> Value {
    let time = format!("2026-01-{:02}T10:00:00Z", dice.random_range(1..20));
    let id = format!("e{n}");
    let one = dice.random_range(0..60);
    let deletes = dice.random_range(0..40) == 0;
    if dice.random_bool(0.3) {
        let subject = format!("b-{}", one % 20);
        let data = json!({ "name": format!("Business {n}"), "country": "FR" });
        return event(&id, "business.updated", &subject, &time, data);
    }
    let subject = format!("u-{one}");
    if deletes {
        return event(&id, "user.deleted", &subject, &time, json!({}));
    }
    let data = json!({ "email": format!("u{one}@example.com"), "first_name": format!("Ann {n}"),
                       "last_name": "O'Neil", "business_id": format!("b-{}", dice.random_range(0..20)) });
    event(&id, "user.updated", &subject, &time, data)
}
