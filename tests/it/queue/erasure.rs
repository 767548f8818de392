//! What stays of an erased subject: nothing that tells of it, in no row, event or log.

use chrono::TimeDelta;
use hubferry::worker::janitor;
use serde_json::{Value, json};

use crate::support::files::files_and;
use crate::support::{Setup, World, event, user};

/// A user is a contact, and its business a company: one event, two rows.
const SECOND: &str = r#"
entity = "user"
object = "company"
priority = "normal"
[verbs]
updated = "upsert"
[[fields]]
property = "name"
from = "/company_name"
[[fields]]
property = "siret"
from = "/siret"
[[examples]]
type = "user.updated"
data = '{"company_name": "Ada Ltd"}'
[examples.properties]
name = "Ada Ltd"
"#;

async fn of_two_kinds() -> World {
    let mapping = files_and(&[], &[("mappings/user_company.toml", SECOND)]);
    World::with(Setup { mapping, ..Setup::default() }).await
}

/// The contact is written; the company waits for its name.
async fn ada(world: &World) -> [String; 2] {
    let data =
        json!({ "email": "ada@example.com", "first_name": "Ada", "siret": "12345678901234" });
    let answer = world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let rows = answer["events"][0]["rows"].as_array().unwrap();
    let row = |kind: &str| {
        let row = rows.iter().find(|row| row["sync_type"] == kind).expect("a row");
        row["id"].as_str().unwrap().to_owned()
    };
    [row("contact"), row("company")]
}

fn erasure() -> Value {
    event("2", "user.erased", "u-1", "2026-01-02T10:00:00Z", json!({}))
}

/// Nothing of the event tells of whom it was.
async fn is_empty(world: &World) {
    let event: (Option<Value>, Option<Vec<u8>>, String) =
        sqlx::query_as("SELECT data, hash, subject FROM event WHERE id = '1'")
            .fetch_one(world.queue.pool())
            .await
            .unwrap();
    assert_eq!(event, (None, None, String::new()));
    let addresses: i64 = sqlx::query_scalar("SELECT count(*) FROM row_email")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(addresses, 0, "the hashes by which an address finds its rows");
}

#[tokio::test]
async fn an_event_of_two_kinds_is_emptied_when_the_other_record_does_not_need_it_any_more() {
    let world = of_two_kinds().await;
    let [contact, company] = ada(&world).await;
    assert_eq!(world.row(&company).await["status"], "pending");
    world.accept(&erasure()).await;
    world.drain().await;
    assert_eq!(world.row(&contact).await["status"], "synced");
    let data: Option<Value> = sqlx::query_scalar("SELECT data FROM event WHERE id = '1'")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert!(data.is_some(), "the company still has to be sent");
    assert_eq!(world.row(&company).await["status"], "pending");
    // Events of the erased subject are refused, for all of its records.
    let name = json!({ "email": "bo@example.com", "company_name": "Bo Ltd" });
    assert_eq!(world.post(&user("3", "u-1", "2026-01-03T10:00:00Z", name)).await.0, 422);
    // The company waits for its name in vain. When its row ends, nothing needs the event.
    world.advance(TimeDelta::hours(25));
    world.drain().await;
    let row = world.row(&company).await;
    assert_eq!(row["status"], "failed", "{row}");
    janitor::tick(&world.queue).await.unwrap();
    is_empty(&world).await;
    // A person retries it: nothing can be made of an event that has been emptied.
    world.admin("POST", &format!("/queue/{company}/retry"), None).await;
    world.drain().await;
    let row = world.row(&company).await;
    assert_eq!(
        (&row["status"], &row["error"]["code"]),
        (&json!("failed"), &json!("SUBJECT_ERASED")),
        "{row}"
    );
    assert!(world.sandbox.objects("companies").is_empty());
    assert_eq!(world.queue.outstanding().await.unwrap(), 0);
    // The event sent again is known by its id, whatever it says.
    let again = json!({ "email": "other@example.com" });
    let answer = world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", again)).await;
    assert_eq!(answer["duplicates"], 1, "{answer}");
}

#[tokio::test]
async fn the_rows_of_an_event_are_forgotten_together_so_that_an_erasure_finds_the_payload() {
    let world = of_two_kinds().await;
    let rows = ada(&world).await;
    world.advance(TimeDelta::hours(25));
    world.drain().await;
    assert_eq!(world.row(&rows[1]).await["status"], "failed");
    let forget = async || {
        let mut behind = janitor::forget(&world.queue, TimeDelta::days(180), 0).await.unwrap();
        while behind > 0 {
            behind = janitor::forget(&world.queue, TimeDelta::days(180), behind).await.unwrap();
        }
    };
    world.advance(TimeDelta::days(200));
    forget().await;
    // The company's row needs a person still, so the contact's stays with it.
    for row in &rows {
        assert_eq!(world.admin("GET", &format!("/queue/{row}"), None).await.0, 200);
    }
    world.accept(&erasure()).await;
    world.drain().await;
    is_empty(&world).await;
    world.admin("POST", &format!("/queue/{}/discard", rows[1]), None).await;
    world.advance(TimeDelta::days(181));
    forget().await;
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM event WHERE id = '1'")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(left, 0, "all rows are done, so the event goes with them");
    for row in &rows {
        assert_eq!(world.admin("GET", &format!("/queue/{row}"), None).await.0, 404);
    }
}

#[tokio::test]
async fn the_audit_is_forgotten_after_its_time() {
    let world = World::new().await;
    let lines = async || world.get("/audit").await["items"].as_array().unwrap().len();
    world.admin("POST", "/pause", Some(json!({}))).await;
    world.advance(TimeDelta::days(300));
    world.admin("POST", "/resume", None).await;
    assert_eq!(janitor::prune_audit(&world.queue, TimeDelta::days(400)).await.unwrap(), 0);
    world.advance(TimeDelta::days(101));
    assert_eq!(janitor::prune_audit(&world.queue, TimeDelta::days(400)).await.unwrap(), 1);
    assert_eq!(lines().await, 1, "the younger one stays");
}
