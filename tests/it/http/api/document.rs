//! The OpenAPI document: it names every route, its examples work, and answers are as it says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::bad_deal;
use crate::support::{ADMIN_KEY, World, user};

/// The routes that the contract names; the document has them all, and perhaps more.
const CONTRACT: [(&str, &str); 26] = [
    ("post", "/v1/events"),
    ("get", "/v1/events/{id}"),
    ("get", "/admin/sync/status"),
    ("get", "/admin/sync/queue"),
    ("get", "/admin/sync/queue/{id}"),
    ("post", "/admin/sync/queue/{id}/retry"),
    ("post", "/admin/sync/queue/{id}/discard"),
    ("post", "/admin/sync/retry"),
    ("get", "/admin/sync/records"),
    ("get", "/admin/sync/records/{sync_type}/{external_id}"),
    ("post", "/admin/sync/records/{sync_type}/{external_id}/resync"),
    ("post", "/admin/sync/pause"),
    ("post", "/admin/sync/resume"),
    ("get", "/admin/sync/errors"),
    ("get", "/admin/sync/logs"),
    ("get", "/admin/sync/logs/stream"),
    ("get", "/admin/sync/audit"),
    ("get", "/admin/sync/keys"),
    ("post", "/admin/sync/keys"),
    ("post", "/admin/sync/keys/{id}/revoke"),
    ("post", "/admin/sync/plan"),
    ("get", "/admin/sync/settings"),
    ("put", "/admin/sync/settings"),
    ("get", "/livez"),
    ("get", "/readyz"),
    ("get", "/metrics"),
];

async fn document(world: &World) -> Value {
    let reply = world.http.get(format!("{}/openapi.json", world.url)).send().await.unwrap();
    assert_eq!(reply.status(), 200, "no key is needed");
    reply.json().await.unwrap()
}

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(|(method, operation)| (method.clone(), path.clone(), operation.clone()))
        })
        .collect()
}

#[tokio::test]
async fn the_document_and_the_routes_are_the_same() {
    let world = World::new().await;
    let document = document(&world).await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let named: BTreeSet<(String, String)> =
        operations(&document).into_iter().map(|(method, path, _)| (method, path)).collect();
    for (method, path) in CONTRACT {
        assert!(named.contains(&(method.into(), path.into())), "{method} {path} is not documented");
    }
    let paths: BTreeSet<&String> = named.iter().map(|(_, path)| path).collect();
    for path in paths {
        let url = format!(
            "{}{}",
            world.url,
            path.replace("{sync_type}", "x").replace("{external_id}", "x").replace("{id}", "1")
        );
        for method in ["get", "post", "put", "delete", "patch"] {
            let verb: reqwest::Method = method.to_uppercase().parse().unwrap();
            let request = world.http.request(verb, &url).bearer_auth(ADMIN_KEY);
            let reply = request.send().await.unwrap();
            let there = reply.status() != 405;
            assert_eq!(there, named.contains(&(method.into(), path.clone())), "{method} {path}");
            if reply.status() == 404 {
                let body: Value = reply.json().await.unwrap();
                assert_ne!(
                    body["code"], "not_found",
                    "{method} {path} is documented and not there"
                );
            }
        }
    }
    let page = world.http.get(format!("{}/docs/", world.url)).send().await.unwrap();
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(
        !html.contains("//cdn") && !html.contains("https://"),
        "nothing from elsewhere: {html}"
    );
}

/// Follows `#/…` within the document, so that one answer can be checked by itself.
fn schema(document: &Value, schema: &Value) -> Value {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    whole
}

#[tokio::test]
async fn every_example_works_and_every_answer_is_as_documented() {
    let world = World::new().await;
    let document = document(&world).await;
    let data = json!({ "email": "a@example.com", "first_name": "Ada", "business_id": "b-1" });
    world.accept(&user("evt-0", "u-1001", "2026-01-01T10:00:00Z", data)).await;
    let late = crate::support::event(
        "late",
        "dispute.resolved",
        "d-1",
        "2026-01-01T10:00:00Z",
        json!({ "resolution": "done" }),
    );
    world.accept(&json!([late, bad_deal("deal", "m-1")])).await;
    world.drain().await;
    let (mut bodies, mut answers) = (0, 0);
    // Reading before changing, the events first of all.
    let mut all = operations(&document);
    all.sort_by_key(|(method, path, _)| (!path.starts_with("/v1"), method == "get", path.clone()));
    for (method, path, operation) in all {
        if path.ends_with("/stream") {
            continue;
        }
        let at = format!("{method} {path}");
        let example = |name: &str| {
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let found = parameters.into_iter().find(|p| p["name"] == name)?;
            found["example"].as_str().map(str::to_owned)
        };
        let mut url = path.clone();
        for name in ["id", "sync_type", "external_id"] {
            if path.contains(&format!("{{{name}}}")) {
                let value = example(name).unwrap_or_else(|| panic!("{at}: no example of {name}"));
                url = url.replace(&format!("{{{name}}}"), &value);
            }
        }
        if let Some(source) = example("source") {
            url = format!("{url}?source={source}");
        }
        let content = &operation["requestBody"]["content"]["application/json"];
        let mut examples: Vec<Value> = content["examples"]
            .as_object()
            .map(|many| many.values().map(|one| one["value"].clone()).collect())
            .unwrap_or_default();
        if let Some(name) = content["schema"]["$ref"].as_str().and_then(|r| r.rsplit('/').next()) {
            let one = &document["components"]["schemas"][name]["example"];
            examples.extend((!one.is_null()).then(|| one.clone()));
        }
        bodies += examples.len();
        let sent: Vec<Option<Value>> = match examples.is_empty() {
            true => vec![None],
            false => examples.into_iter().map(Some).collect(),
        };
        for body in sent {
            let verb: reqwest::Method = method.to_uppercase().parse().unwrap();
            let mut request =
                world.http.request(verb, format!("{}{url}", world.url)).bearer_auth(ADMIN_KEY);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let reply = request.send().await.unwrap();
            let status = reply.status().as_u16().to_string();
            let documented = &operation["responses"][&status];
            let text = reply.text().await.unwrap();
            assert!(
                documented.is_object(),
                "{at} answers {status}, which is not documented: {text}"
            );
            assert!(
                body.is_none() || status.starts_with('2'),
                "{at}: the example is refused: {text}"
            );
            let Some(wanted) = documented["content"].as_object().and_then(|c| {
                c.get("application/json").or_else(|| c.get("application/problem+json"))
            }) else {
                continue;
            };
            let answer: Value =
                serde_json::from_str(&text).unwrap_or_else(|_| panic!("{at}: {text}"));
            let validator =
                jsonschema::validator_for(&schema(&document, &wanted["schema"])).unwrap();
            let faults: Vec<String> = validator
                .iter_errors(&answer)
                .map(|fault| format!("{} {fault}", fault.instance_path()))
                .collect();
            assert_eq!(faults, Vec::<String>::new(), "{at} {status}: {answer}");
            answers += 1;
        }
    }
    assert!(bodies >= 8 && answers >= 24, "{bodies} examples, {answers} answers");
}
