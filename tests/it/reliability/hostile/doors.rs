//! Every route without a key, with a wrong, an expired, a revoked one, and one of another role; and
//! text that means something to a database in every filter.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{INGEST_KEY, World, user};

/// Whoever can reach the process may ask these.
const OPEN: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// Makes a key and answers it with its number.
async fn key(world: &World, body: Value) -> (String, String) {
    let (status, made) = world.admin("POST", "/keys", Some(body)).await;
    assert!((200..300).contains(&status), "{made}");
    let text =
        |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name}: {made}")).to_owned();
    (text("key"), text("id"))
}

#[tokio::test]
async fn every_route_is_shut_without_a_good_key() {
    let world = World::new().await;
    let (expired, _) =
        key(&world, json!({ "name": "old", "role": "admin", "expires_in_days": 1 })).await;
    let (revoked, id) = key(&world, json!({ "name": "bad", "role": "admin" })).await;
    let (status, answer) = world.admin("POST", &format!("/keys/{id}/revoke"), None).await;
    assert_eq!(status, 200, "{answer}");
    world.advance(TimeDelta::days(2));

    let document: Value = world
        .http
        .get(format!("{}/openapi.json", world.url))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let mut asked = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        if OPEN.contains(&path.as_str()) {
            continue;
        }
        for method in methods.as_object().unwrap().keys() {
            let url = format!("{}{}", world.url, path.replace('{', "1").replace('}', ""));
            let foreign = if path.starts_with("/v1/") { None } else { Some(INGEST_KEY) };
            for (given, wanted) in [
                (None, 401),
                (Some("hf_guessed"), 401),
                (Some(expired.as_str()), 401),
                (Some(revoked.as_str()), 401),
                (foreign, if foreign.is_some() { 403 } else { 401 }),
            ] {
                let method: reqwest::Method = method.to_uppercase().parse().unwrap();
                let mut request = world.http.request(method.clone(), &url);
                if let Some(given) = given {
                    request = request.bearer_auth(given);
                }
                let status = request.send().await.unwrap().status();
                assert_eq!(status, wanted, "{method} {path} with {given:?}");
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked} requests");
}

#[tokio::test]
async fn text_that_means_something_to_a_database_is_only_text() {
    let world = World::new().await;
    world.accept(&user("e-1", "u-1", "2026-01-01T10:00:00Z", json!({ "first_name": "A" }))).await;
    let texts = [
        "'; DROP TABLE event; --",
        "\" OR 1=1 --",
        "%",
        "_",
        "\\",
        "$1",
        "{}",
        "NULL",
        "\u{0}",
        "\u{202e}\u{1f9ea}",
        "-1",
        "99999999999999999999999999",
        "1e400",
        "infinity",
        "0001-01-01T00:00:00Z",
        "+292277-01-01T00:00:00Z",
    ];
    let lists: [(&str, &[&str]); 5] = [
        (
            "/queue",
            &[
                "status",
                "sync_type",
                "event_type",
                "external_id",
                "error_code",
                "priority",
                "since",
                "until",
                "q",
                "cursor",
                "limit",
            ],
        ),
        ("/records", &["sync_type", "state", "q", "cursor", "limit"]),
        (
            "/logs",
            &["sync_type", "class", "status", "failures", "since", "until", "cursor", "limit"],
        ),
        ("/audit", &["actor", "action", "since", "until", "cursor", "limit"]),
        ("/errors", &["sync_type"]),
    ];
    for (list, filters) in lists {
        for filter in filters {
            for text in texts {
                let url = format!("{}/admin/sync{list}", world.url);
                let request = world.http.get(url).query(&[(filter, text)]);
                let reply = request.bearer_auth(crate::support::ADMIN_KEY).send().await.unwrap();
                let status = reply.status().as_u16();
                assert!(
                    [200, 400, 422].contains(&status),
                    "{list}?{filter}={text:?}: {status} {}",
                    reply.text().await.unwrap()
                );
            }
        }
    }
    for text in texts {
        let filter = json!({ "external_id": text, "error_code": text, "since": text });
        let (status, answer) = world.admin("POST", "/retry", Some(filter)).await;
        assert!([200, 400, 422].contains(&status), "{text:?}: {status} {answer}");
        let id: String = url_encoded(text);
        for path in [format!("/queue/{id}"), format!("/records/contact/{id}")] {
            let status = world.admin("GET", &path, None).await.0;
            assert!([400, 404, 422].contains(&status), "{path}: {status}");
        }
    }
    let events: i64 = sqlx::query_scalar("SELECT count(*) FROM event")
        .fetch_one(world.queue.pool())
        .await
        .unwrap();
    assert_eq!(events, 1, "all is still there");
}

fn url_encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
