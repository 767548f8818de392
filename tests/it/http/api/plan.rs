//! What events would send, asked of a server that knows what HubSpot holds.

use serde_json::{Value, json};

use super::ask;
use crate::support::{ADMIN_KEY, World, event, user};

fn verdict<'a>(plan: &'a Value, name: &str) -> Vec<&'a str> {
    let properties = plan["records"][0]["properties"].as_array().unwrap();
    let named = properties.iter().filter(|p| p["name"] == name);
    named.map(|p| p["verdict"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_plan_tells_new_unchanged_older_void_and_dropped_values_and_changes_nothing() {
    let world = World::new().await;
    let plan = async |body: Value| {
        let (status, plan) = ask(&world, ADMIN_KEY, "POST", "/admin/sync/plan", Some(body)).await;
        assert_eq!(status, 200, "{plan}");
        plan
    };
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "phone": "nonsense" });
    let first = user("1", "u-1", "2026-01-02T10:00:00Z", data);
    let fresh = plan(first.clone()).await;
    assert_eq!(
        (&fresh["records"][0]["linked"], verdict(&fresh, "email")),
        (&json!(false), vec!["send"])
    );
    assert_eq!(verdict(&fresh, "phone"), ["dropped"], "{fresh}");
    assert_eq!(world.get("/queue").await["items"], json!([]), "nothing is stored");
    assert!(world.sandbox.calls().is_empty(), "nothing is sent");

    world.accept(&first).await;
    world.drain().await;
    let next = json!([
        user("2", "u-1", "2026-01-03T10:00:00Z", json!({ "first_name": "Ada", "last_name": "L" })),
        user(
            "3",
            "u-1",
            "2026-01-01T10:00:00Z",
            json!({ "email": "old@example.com", "last_name": "O" })
        ),
    ]);
    let told = plan(next).await;
    assert_eq!(told["records"][0]["linked"], true);
    assert_eq!(verdict(&told, "firstname"), ["unchanged"]);
    assert_eq!(verdict(&told, "lastname"), ["send", "older"]);
    assert_eq!(verdict(&told, "email"), ["older"]);

    let deleted = json!([
        user("4", "u-1", "2026-01-04T10:00:00Z", json!({ "first_name": "Late" })),
        event("5", "user.deleted", "u-1", "2026-01-05T10:00:00Z", json!({})),
    ]);
    assert_eq!(verdict(&plan(deleted).await, "firstname"), ["void"]);

    // A slot that a newer event has set stands, and an erased subject is not told of as if it went.
    let first = user(
        "6",
        "u-2",
        "2026-01-03T10:00:00Z",
        json!({ "email": "b@example.com", "business_id": "b-2" }),
    );
    world.accept(&first).await;
    world.drain().await;
    let late = user("7", "u-2", "2026-01-01T10:00:00Z", json!({ "business_id": "b-1" }));
    assert_eq!(plan(late).await["records"][0]["associations"][0]["verdict"], "older");
    let again = json!([
        event("8", "user.erased", "u-2", "2026-01-01T10:00:00Z", json!({})),
        user("9", "u-2", "2026-01-04T10:00:00Z", json!({ "first_name": "Late" }))
    ]);
    assert_eq!(verdict(&plan(again).await, "firstname"), ["void"]);

    let (status, refused) = ask(
        &world,
        ADMIN_KEY,
        "POST",
        "/admin/sync/plan",
        Some(json!({ "type": "user.updated", "subject": "u-1", "data": { "email": 5 } })),
    )
    .await;
    assert_eq!(status, 422, "{refused}");
}
