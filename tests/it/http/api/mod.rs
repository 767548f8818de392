//! The admin API as its users meet it: keys, pages, groups, previews, the log, the document.

mod document;
mod generators;
mod keys;
mod lists;
mod plan;
mod reads;
mod schemathesis;
mod tail;
mod why;

use serde_json::{Value, json};

use crate::support::{World, event};

/// A deal in a currency that the account does not have: it fails at once, and retrying helps as
/// soon as the account has it.
pub fn bad_deal(id: &str, subject: &str) -> Value {
    let data = json!({ "name": format!("Deal {subject}"), "status": "paid",
                       "amount": { "value": "1", "currency": "GBP" } });
    event(id, "milestone.created", subject, "2026-01-01T10:00:00Z", data)
}

/// A request with any key.
pub async fn ask(
    world: &World,
    key: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let method: reqwest::Method = method.parse().unwrap();
    let mut request = world.http.request(method, format!("{}{path}", world.url)).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(&body);
    }
    let reply = request.send().await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap_or(Value::Null))
}

/// Makes a key of a role and answers its number and its text.
pub async fn make_key(world: &World, role: &str, days: Option<i64>) -> (String, String) {
    let body = json!({ "name": format!("a {role}"), "role": role, "expires_in_days": days });
    let (status, made) = world.admin("POST", "/keys", Some(body)).await;
    assert_eq!(status, 201, "{made}");
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}
