//! Two portals in one database: two HubSpot accounts, of which neither sees the other.

use std::sync::Arc;
use std::time::Duration;

use hubferry::hubspot::{self, Client};
use hubferry::mapping::{Mapping, Vars};
use hubferry::portals::{Connection, Permits, Portal};
use hubferry::queue::Queue;
use hubferry::queue::views::page::Page;
use hubferry::worker::{Step, Worker, janitor};
use hubspot_sandbox::{Faults, Sandbox, Settings};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::{Setup, World, event, row_id, user};

/// A second portal beside that of a world, with an account and a door of its own.
struct North {
    queue: Queue,
    sandbox: Sandbox,
    worker: Worker,
    portal: Portal,
    url: String,
}

impl North {
    async fn beside(world: &World) -> Self {
        let made = "INSERT INTO crm_portal (portal) VALUES ('north')";
        sqlx::query(made).execute(world.queue.pool()).await.unwrap();
        let setup = Setup::default();
        let queue = world.queue.of("north");
        let mapping = Arc::new(Mapping::builtin(&Vars::default()).unwrap());
        let live = setup.live(&queue, &mapping);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api_url = format!("http://{}", listener.local_addr().unwrap());
        let account = Settings { portal_id: 7_654_321, ..setup.sandbox.clone() };
        let sandbox = Sandbox::new(account);
        tokio::spawn(sandbox.clone().serve(listener, std::future::pending()));
        let client = Client::new(hubspot::Settings {
            api_url,
            min_tls: hubspot::client::Tls::V1_3,
            version: setup.version.parse().unwrap(),
            token: setup.sandbox.token.clone().into(),
            timeout: Duration::from_secs(15),
        })
        .unwrap();
        let version = client.version().clone();
        hubspot::setup::setup(&client, &version, &mapping, false).await.unwrap();
        sandbox.clear_calls();
        let stop = CancellationToken::new();
        let permits =
            Permits::new(queue.clone(), client.clone(), live.clone(), false, "north", stop);
        let portal = Portal::new(&queue, mapping, live);
        let connection = Connection { client, permits };
        let worker = Worker::new(portal.clone(), connection, setup.fixed(), "north/0".into());
        let url = world.another_door(&queue).await;
        Self { queue, sandbox, worker, portal, url }
    }

    async fn drain(&self) {
        for _ in 0..200 {
            janitor::tick(&self.queue).await.unwrap();
            if self.worker.step().await.unwrap() == Step::Idle {
                return;
            }
        }
        panic!("the queue does not come to rest");
    }
}

#[tokio::test]
async fn two_portals_share_a_database_and_see_nothing_of_each_other() {
    let world = World::new().await;
    let north = North::beside(&world).await;
    // The same event ids and the same users on both sides.
    let ada = |name: &str| {
        let data = json!({ "email": "ada@example.com", "first_name": name, "business_id": "b-1" });
        user("1", "u-1", "2026-01-01T10:00:00Z", data)
    };
    let south_row = row_id(&world.accept(&ada("South")).await, 0);
    let (status, answer) =
        world.post_to(&north.url, "application/json", ada("North").to_string()).await;
    assert_eq!((status, &answer["duplicates"]), (202, &json!(0)), "{answer}");
    let north_row: i64 = row_id(&answer, 0).parse().unwrap();

    // One is paused; the other sends.
    world.queue.pause("anna", None, world.queue.now().await.unwrap()).await.unwrap();
    north.drain().await;
    world.drain().await;
    let names = |sandbox: &Sandbox| -> Vec<String> {
        let all = sandbox.objects("contacts").into_iter();
        all.map(|contact| contact.properties["firstname"].clone()).collect()
    };
    assert_eq!((names(&world.sandbox), names(&north.sandbox)), (vec![], vec!["North".to_owned()]));
    assert!(north.queue.gates(north.queue.now().await.unwrap()).await.unwrap().is_empty());
    world.queue.resume("anna", world.queue.now().await.unwrap()).await.unwrap();
    world.drain().await;
    assert_eq!(names(&world.sandbox), ["South"]);

    // Rows, records, calls, counts and the audit are those of one portal.
    let there = north.queue.row(north_row).await.unwrap().expect("its own row");
    assert_eq!(there.row.external_id, "u-1");
    assert!(north.queue.row(south_row.parse().unwrap()).await.unwrap().is_none());
    assert_eq!(world.admin("GET", &format!("/queue/{north_row}"), None).await.0, 404);
    let totals = async |queue: &Queue| {
        let totals = queue.totals(queue.now().await.unwrap()).await.unwrap();
        (totals.counts.iter().map(|count| count.rows).sum::<i64>(), totals.parked_associations)
    };
    assert_eq!((totals(&world.queue).await, totals(&north.queue).await), ((1, 1), (1, 1)));
    let logged =
        async |queue: &Queue| queue.logs(&Default::default(), None, 50).await.unwrap().items.len();
    let calls = north.sandbox.calls().len();
    assert_eq!(logged(&north.queue).await, calls, "only its own calls");
    let audit = world.get("/audit").await;
    assert_eq!(audit["items"].as_array().unwrap().len(), 2, "pause and resume: {audit}");
    let audits = north.queue.audits(&Default::default(), &Page::newest(50)).await.unwrap();
    assert!(audits.items.is_empty(), "{:?}", audits.items);

    // A refusal of one account closes a gate of its own.
    north.sandbox.set_faults(Faults { revoke_token: true, ..Faults::default() });
    let body = user("2", "u-2", "2026-01-01T11:00:00Z", json!({ "email": "bo@example.com" }));
    world.post_to(&north.url, "application/json", body.to_string()).await;
    world.accept(&body).await;
    north.drain().await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 2);
    assert_eq!(north.sandbox.objects("contacts").len(), 1);
    let gates = north.queue.gates(north.queue.now().await.unwrap()).await.unwrap();
    assert_eq!(gates[0].kind, "credentials");
    assert_eq!(world.get("/status").await["gate"]["state"], "open");

    // An erasure here leaves the other account's contact alone.
    world.accept(&event("3", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}))).await;
    world.drain().await;
    assert_eq!(world.sandbox.objects("contacts").len(), 1);
    let record = north.queue.record_by_key("contact", "u-1").await.unwrap().expect("a record");
    assert!(record.erased_at.is_none());
}

#[tokio::test]
async fn a_process_without_workers_previews_with_the_definitions_that_a_worker_has_read() {
    let world = World::new().await;
    let north = North::beside(&world).await;
    let reader =
        Portal::new(&north.queue, Arc::clone(&north.portal.mapping), north.portal.settings.clone());
    reader.definitions.refresh().await.unwrap();
    assert!(reader.definitions.cache().of("contact").is_none(), "nobody has read them yet");
    world.worker.load_definitions().await;
    north.worker.load_definitions().await;
    let another =
        Portal::new(&north.queue, Arc::clone(&north.portal.mapping), north.portal.settings.clone());
    another.definitions.refresh().await.unwrap();
    let read = another.definitions.cache().of("contact").expect("the definitions");
    assert_eq!(read, north.portal.definitions.cache().of("contact").expect("the worker's own"));
    assert!(read.properties.contains_key("hubferry_id"));
}
