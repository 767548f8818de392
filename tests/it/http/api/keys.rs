//! Keys: what each role opens, how keys end, and what is kept of them.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{ask, make_key};
use crate::support::{ADMIN_KEY, INGEST_KEY, World, user};

/// Each door, and the least role that opens it.
const DOORS: [(&str, &str, &str); 19] = [
    ("GET", "/admin/sync/status", "viewer"),
    ("GET", "/admin/sync/queue", "viewer"),
    ("GET", "/admin/sync/queue/1", "viewer"),
    ("GET", "/admin/sync/records", "viewer"),
    ("GET", "/admin/sync/errors", "viewer"),
    ("GET", "/admin/sync/logs", "viewer"),
    ("GET", "/admin/sync/audit", "viewer"),
    ("GET", "/admin/sync/keys", "admin"),
    ("GET", "/admin/sync/settings", "viewer"),
    ("POST", "/admin/sync/retry", "operator"),
    ("POST", "/admin/sync/queue/1/retry", "operator"),
    ("POST", "/admin/sync/queue/1/discard", "operator"),
    ("POST", "/admin/sync/queue/1/confirm", "operator"),
    ("POST", "/admin/sync/records/contact/u-1/resync", "operator"),
    ("POST", "/admin/sync/pause", "operator"),
    ("POST", "/admin/sync/resume", "operator"),
    ("PUT", "/admin/sync/settings", "admin"),
    ("POST", "/admin/sync/keys", "admin"),
    ("POST", "/admin/sync/keys/999/revoke", "admin"),
];

#[tokio::test]
async fn each_role_opens_its_doors_and_no_others() {
    let world = World::new().await;
    world
        .accept(&user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" })))
        .await;
    let roles = ["ingest", "viewer", "operator", "admin"];
    let mut keys = Vec::new();
    for role in roles {
        keys.push(make_key(&world, role, None).await.1);
    }
    for (method, path, least) in DOORS {
        let needed = roles.iter().position(|role| *role == least).unwrap();
        for (rank, key) in keys.iter().enumerate() {
            let (status, body) = ask(&world, key, method, path, None).await;
            if rank >= needed {
                assert!(status != 401 && status != 403, "{method} {path} {}: {body}", roles[rank]);
            } else {
                assert_eq!((status, &body["code"]), (403, &json!("wrong_role")), "{method} {path}");
            }
        }
        assert_eq!(ask(&world, "hf_wrong", method, path, None).await.0, 401, "{method} {path}");
    }
    for (key, wanted) in keys.iter().zip([415, 403, 403, 415]) {
        assert_eq!(ask(&world, key, "POST", "/v1/events", None).await.0, wanted);
    }
}

#[tokio::test]
async fn a_key_ends_by_time_and_by_hand_and_every_change_is_audited() {
    let world = World::new().await;
    let (id, key) = make_key(&world, "viewer", Some(7)).await;
    let (_, other) = make_key(&world, "viewer", None).await;
    assert!(key.starts_with("hf_") && key.len() > 40, "{key}");
    assert_eq!(ask(&world, &key, "GET", "/admin/sync/status", None).await.0, 200);

    let listed = world.get("/keys").await;
    let shown = &listed["items"][1];
    assert_eq!(shown["id"], json!(id));
    assert_eq!((&shown["state"], &shown["role"]), (&json!("active"), &json!("viewer")));
    assert!(key.starts_with(shown["prefix"].as_str().unwrap()));
    assert!(shown["last_used_at"].is_string() && shown["created_by"] == "admin key");
    assert!(!listed.to_string().contains(&key), "no list shows a key");
    assert!(listed["items"][0]["last_used_at"].is_null());

    world.advance(TimeDelta::days(7));
    assert_eq!(ask(&world, &key, "GET", "/admin/sync/status", None).await.0, 401);
    assert_eq!(world.get("/keys").await["items"][1]["state"], "expired");

    let other_id = listed["items"][0]["id"].as_str().unwrap();
    let revoke = format!("/keys/{other_id}/revoke");
    assert_eq!(world.admin("POST", &revoke, None).await.0, 200);
    assert_eq!(ask(&world, &other, "GET", "/admin/sync/status", None).await.0, 401);
    assert_eq!(world.admin("POST", &revoke, None).await.0, 404, "once is enough");

    let audit = world.get("/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|l| l["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["revoke_key", "make_key", "make_key"]);
}

#[tokio::test]
async fn only_a_hash_of_a_key_is_stored() {
    let world = World::new().await;
    let (_, key) = make_key(&world, "operator", None).await;
    let dump: Vec<String> = sqlx::query_scalar("SELECT to_jsonb(k)::text FROM api_key k")
        .fetch_all(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(dump.len(), 1);
    assert!(!dump[0].contains(&key[10..]), "{}", dump[0]);
    assert!(dump[0].contains(&key[..10]), "the prefix is what a person sees");
}

#[tokio::test]
async fn a_key_that_cannot_be_is_refused_with_the_reason() {
    let world = World::new().await;
    for (body, word) in [
        (json!({ "name": " ", "role": "viewer" }), "name"),
        (json!({ "name": "x".repeat(101), "role": "viewer" }), "name"),
        (json!({ "name": "a", "role": "root" }), "root"),
        (json!({ "name": "a" }), "role"),
        (json!({ "name": "a", "role": "viewer", "expires_in_days": 0 }), "expires_in_days"),
        (json!({ "name": "a", "role": "viewer", "expire": 1 }), "expire"),
    ] {
        let (status, answer) = world.admin("POST", "/keys", Some(body.clone())).await;
        assert_eq!(status, 400, "{body} {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(word), "{body} {answer}");
    }
}

#[tokio::test]
async fn who_may_only_look_sees_no_payload_and_no_value() {
    let world = World::new().await;
    let data = json!({ "email": "secret@example.com", "first_name": "Ada" });
    world.accept(&user("1", "u-1", "2026-01-01T10:00:00Z", data)).await;
    world.drain().await;
    let (_, viewer) = make_key(&world, "viewer", None).await;
    let (_, listed) = ask(&world, ADMIN_KEY, "GET", "/admin/sync/records", None).await;
    assert!(!listed.to_string().contains("secret@example.com"), "no list shows values");
    for path in ["/admin/sync/queue/1", "/admin/sync/records/contact/u-1"] {
        let (status, seen) = ask(&world, &viewer, "GET", path, None).await;
        assert_eq!(status, 200);
        assert!(!seen.to_string().contains("secret@example.com"), "{path} {seen}");
        let (_, all) = ask(&world, ADMIN_KEY, "GET", path, None).await;
        assert!(all.to_string().contains("secret@example.com"), "{path} {all}");
    }
    let (_, seen) = ask(&world, &viewer, "GET", "/admin/sync/queue/1", None).await;
    assert_eq!((&seen["payload"], &seen["payload_hidden"]), (&Value::Null, &json!(true)));
    assert!(seen["record"]["accepted"]["email"]["row_id"].is_string(), "names and origins show");
}

#[tokio::test]
async fn a_made_ingest_key_sends_events_and_names_no_door_of_the_admins() {
    let world = World::new().await;
    let (_, key) = make_key(&world, "ingest", None).await;
    let event = user("1", "u-1", "2026-01-01T10:00:00Z", json!({ "email": "a@example.com" }));
    assert_eq!(ask(&world, &key, "POST", "/v1/events", Some(event)).await.0, 202);
    assert_eq!(ask(&world, &key, "GET", "/v1/events/1?source=test", None).await.0, 200);
    assert_eq!(ask(&world, &key, "DELETE", "/admin/sync/status", None).await.0, 403);
    assert_eq!(ask(&world, INGEST_KEY, "GET", "/admin/sync/keys", None).await.0, 403);
}
