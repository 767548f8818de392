//! Who has read personal data by the API stands in the audit, as for pages.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{ask, bad_deal, make_key};
use crate::support::{World, row_id, user};

/// Who has looked at what, the oldest first. An actor is told with the beginning of the key.
async fn looks(world: &World) -> Vec<(String, String)> {
    let lines = world.get("/audit?action=reveal").await;
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = lines["items"].as_array().unwrap().iter().rev();
    let name = |actor: &str| actor.split(" (").next().unwrap().to_owned();
    lines.map(|line| (name(&text(line, "actor")), text(line, "target"))).collect()
}

#[tokio::test]
async fn values_that_were_read_by_the_api_are_in_the_audit_once_an_hour() {
    let world = World::new().await;
    let data = json!({ "email": "a@example.com" });
    let answer = world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    let row = row_id(&answer, 0);
    let failed = row_id(&world.accept(&bad_deal("2", "m-1")).await, 0);
    world.drain().await;
    let (_, viewer) = make_key(&world, "viewer", None).await;
    let (_, operator) = make_key(&world, "operator", None).await;
    let paths = [
        format!("/admin/sync/queue/{row}"),
        "/admin/sync/records/contact/u-1".to_owned(),
        "/admin/sync/queue".to_owned(),
        "/admin/sync/records".to_owned(),
    ];
    for key in [&viewer, &operator, &operator] {
        for path in &paths {
            assert_eq!(ask(&world, key, "GET", path, None).await.0, 200);
        }
    }
    let number: i64 = sqlx::query_scalar("SELECT id FROM crm_record WHERE sync_type = 'contact'")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    let line = |target: &str| ("a operator".to_owned(), target.to_owned());
    let mut expected = vec![line(&format!("row {row}")), line(&format!("contact record {number}"))];
    assert_eq!(looks(&world).await, expected, "a viewer sees no values, and lists show none");

    // A dry run shows what would be sent.
    let dry = json!({ "dry_run": true });
    assert_eq!(ask(&world, &operator, "POST", "/admin/sync/retry", Some(dry)).await.0, 200);
    expected.push(line(&format!("row {failed}")));
    assert_eq!(looks(&world).await, expected);

    world.advance(TimeDelta::minutes(61));
    ask(&world, &operator, "GET", &paths[0], None).await;
    expected.push(line(&format!("row {row}")));
    assert_eq!(looks(&world).await, expected);

    // So does a plan, of records that are known.
    let named = |subject: &str| {
        user(subject, subject, "2026-01-01T10:00:00Z", json!({ "first_name": "A" }))
    };
    let events = Some(json!([named("u-1"), named("u-2")]));
    assert_eq!(ask(&world, &operator, "POST", "/admin/sync/plan", events).await.0, 200);
    expected.push(line(&format!("contact record {number}")));
    assert_eq!(looks(&world).await, expected);
}
