//! `plan`: the calls that it shows are the calls that are made.

use std::collections::HashMap;

use hubferry::hubspot::key::key;
use serde_json::{Value, json};

use super::proxy::Proxy;
use super::{Said, run};
use crate::support::binary::Server;
use crate::support::{SAMPLES, World, samples};

fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("events.ndjson");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

async fn plan(text: &str, more: &[&str], environment: &[(&str, &str)]) -> (Said, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = file(&folder, text);
    let args: Vec<&str> = ["plan", &file, "--json"].iter().chain(more).copied().collect();
    let said = run(&args, environment).await;
    let body = serde_json::from_str(&said.out).unwrap_or(Value::Null);
    (said, body)
}

/// Method, path and body of a call without trace ids, inputs in order of their text.
fn plain(method: &str, path: &str, body: &Value) -> String {
    let mut body = body.clone();
    if let Some(inputs) = body["inputs"].as_array_mut() {
        for input in inputs.iter_mut() {
            input.as_object_mut().unwrap().remove("objectWriteTraceId");
        }
        inputs.sort_by_key(Value::to_string);
    }
    format!("{method} {path} {body}")
}

fn planned(plan: &Value) -> Vec<String> {
    let calls = plan["calls"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut calls: Vec<String> = calls
        .iter()
        .map(|call| plain(&text(&call["method"]), &text(&call["path"]), &call["body"]))
        .collect();
    calls.sort();
    calls
}

/// What HubSpot's ids stand for: the way plans name them, by the subjects of `events`.
fn names(world: &World, events: &[Value]) -> HashMap<(&'static str, String), String> {
    let kinds = [
        ("companies", "company"),
        ("contacts", "contact"),
        ("deals", "deal"),
        ("tickets", "ticket"),
    ];
    let subjects = events.iter().map(|event| event["subject"].as_str().unwrap());
    let subjects: HashMap<String, &str> = subjects.map(|s| (key(None, s), s)).collect();
    let mut names = HashMap::new();
    for (plural, kind) in kinds {
        for record in world.sandbox.objects(plural) {
            let subject = subjects[&record.properties["hubferry_id"]];
            let name = format!("{{id of {kind} {subject}}}");
            names.insert((plural, record.id), name);
        }
    }
    names
}

/// Puts the names of a plan in the place of HubSpot's ids.
fn named(path: &str, body: &Value, names: &HashMap<(&'static str, String), String>) -> Value {
    let mut body = body.clone();
    let parts: Vec<&str> = path.split('/').collect();
    let ["", "crm", "associations", _, from, to, ..] = parts[..] else { return body };
    for input in body["inputs"].as_array_mut().unwrap() {
        for (end, kind) in [("from", from), ("to", to)] {
            let id = input[end]["id"].as_str().unwrap().to_owned();
            let name = names.iter().find(|((k, i), _)| *k == kind && *i == id).unwrap().1;
            input[end]["id"] = json!(name);
        }
    }
    body
}

/// Accepts `events` at once, lets a real server deliver them, and answers the calls it made.
async fn delivered(world: &World, events: &[Value]) -> Vec<String> {
    let proxy = Proxy::start(&world.hubspot_url, &[]).await;
    world.accept(&json!(events)).await;
    let more = [("HUBFERRY__WORKER__COUNT", "1")];
    let server = Server::start(&world.database, &proxy.url, &more).await;
    while world.queue.outstanding().await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(server.terminate().await.success());
    let names = names(world, events);
    let mut calls: Vec<String> = proxy
        .seen()
        .iter()
        .map(|seen| plain(&seen.method, &seen.path, &named(&seen.path, &seen.body, &names)))
        .collect();
    calls.sort();
    calls
}

#[tokio::test]
async fn the_plan_of_the_samples_is_what_hubspot_then_receives() {
    let world = World::new().await;
    let (said, offline) = plan(SAMPLES, &[], &[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let account = [("HUBSPOT_API_URL", &*world.hubspot_url), ("HUBSPOT_API_KEY", "sandbox-token")];
    let (said, fitted) = plan(SAMPLES, &["--account"], &account).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(world.calls(""), 0, "a plan writes nothing");
    let made = delivered(&world, &samples()).await;
    assert_eq!(planned(&fitted), made);
    assert_eq!(made.len(), 10, "four kinds and six associations: {made:#?}");
    // Only the account knows when its days begin.
    let day = |call: &String| call.replace("2025-01-30T23:00:00.000Z", "2025-01-31");
    let made: Vec<String> = made.iter().map(day).collect();
    assert_eq!(planned(&offline), made, "the samples say it in HubSpot's words");
}

#[tokio::test]
async fn deletes_orders_and_more_than_a_batch_are_planned_as_they_are_done() {
    let world = World::new().await;
    let at = |n: i64| format!("2026-01-01T10:{:02}:{:02}Z", n / 60, n % 60);
    let mut events: Vec<Value> = (0..205)
        .map(|n| {
            json!({ "id": n.to_string(), "type": "user.updated", "subject": format!("U {n}"),
                "time": at(n), "data": { "email": format!("u{n}@example.com"), "business_id": "b-1" } })
        })
        .collect();
    let more = [
        ("user.deleted", "U 3", 500, json!({})),
        ("user.updated", "U 4", 1, json!({ "email": "old@example.com", "first_name": "Ada" })),
        ("user.deleted", "U 5", 500, json!({})),
        ("user.updated", "U 5", 501, json!({ "email": "again@example.com" })),
        ("business.updated", "b-1", 500, json!({ "name": "One" })),
        (
            "milestone.updated",
            "m-1",
            500,
            json!({ "amount": { "value": "1.00", "currency": "EUR" } }),
        ),
    ];
    for (number, (kind, subject, time, data)) in more.into_iter().enumerate() {
        events.push(json!({ "id": format!("x{number}"), "type": kind, "subject": subject,
            "time": at(time), "data": data }));
    }
    events[204]["priority"] = json!("high");
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    let (said, plan) = plan(&text, &[], &[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    let upserts = |call: &&Value| call["path"].as_str().unwrap().ends_with("contacts/batch/upsert");
    let sizes: Vec<i64> = plan["calls"]
        .as_array()
        .unwrap()
        .iter()
        .filter(upserts)
        .map(|call| call["inputs"].as_i64().unwrap())
        .collect();
    assert_eq!(sizes, [100, 100, 4]);
    let record = |id: &str| {
        let records = plan["records"].as_array().unwrap();
        records.iter().find(|r| r["external_id"] == id).unwrap().clone()
    };
    let verdict = |id: &str, line: u64, name: &str| {
        let record = record(id);
        let all = record["properties"].as_array().unwrap().iter();
        let found = all.chain(record["associations"].as_array().unwrap());
        let mut found = found.filter(|v| v["name"] == name && v["line"] == line);
        found.next().unwrap_or_else(|| panic!("{record}")).clone()
    };
    assert_eq!(verdict("U 3", 4, "email")["verdict"], "void");
    assert_eq!(verdict("U 4", 207, "email")["reason"], "older than line 5");
    assert_eq!(verdict("U 4", 207, "firstname")["verdict"], "send");
    assert_eq!(verdict("U 5", 209, "email")["verdict"], "send");
    assert_eq!(verdict("U 9", 10, "business")["value"], "company b-1");
    assert!(record("m-1")["note"].as_str().unwrap().contains("waits"), "{}", record("m-1"));

    // The deal waits for its name, and is the only one that does.
    let proxy = Proxy::start(&world.hubspot_url, &[]).await;
    world.accept(&json!(events)).await;
    let server =
        Server::start(&world.database, &proxy.url, &[("HUBFERRY__WORKER__COUNT", "1")]).await;
    // What is left is its row, and the instant at which it is given up.
    while world.queue.outstanding().await.unwrap() > 2 {
        tokio::task::yield_now().await;
    }
    assert!(server.terminate().await.success());
    let inputs = |calls: &mut dyn Iterator<Item = (String, Value)>| {
        let mut all: Vec<String> = calls
            .flat_map(|(path, body)| {
                let inputs = body["inputs"].as_array().cloned().unwrap_or_default();
                inputs.into_iter().map(move |input| plain("", &path, &json!({ "inputs": [input] })))
            })
            .collect();
        all.sort();
        all
    };
    let names = names(&world, &events);
    let mut made = proxy.seen().into_iter().map(|s| {
        let body = named(&s.path, &s.body, &names);
        (s.path, body)
    });
    let calls = plan["calls"].as_array().unwrap().iter();
    let mut wanted =
        calls.map(|call| (call["path"].as_str().unwrap().to_owned(), call["body"].clone()));
    let (wanted, made) = (inputs(&mut wanted), inputs(&mut made));
    let only = |one: &[String], other: &[String]| {
        one.iter().filter(|input| !other.contains(input)).cloned().collect::<Vec<_>>()
    };
    assert_eq!((only(&wanted, &made), only(&made, &wanted)), (Vec::new(), Vec::new()));
    assert_eq!(wanted.len(), made.len());
}

#[tokio::test]
async fn refused_events_and_what_is_not_mapped_are_told() {
    let text = concat!(
        r#"{"id":"1","type":"user.created","subject":"u-1","data":{"email":"nobody"}}"#,
        "\n",
        r#"{"id":"2","type":"user.updated","subject":"u-2","data":{"email":"a@example.com","phone":"no number","shoe":{"size":43},"business_id":"b-9","job_title":null}}"#,
        "\n{\n",
        r#"{"id":"2","type":"user.updated","subject":"u-2","data":{}}"#,
        "\n",
        r#"{"id":"4","type":"user.erased","subject":"u-4","data":{}}"#,
    );
    let (said, plan) = plan(text, &[], &[]).await;
    assert_eq!(said.code, 1, "{said:?}");
    let refused = plan["refused"].as_array().unwrap();
    let found: Vec<(u64, &str)> = refused
        .iter()
        .map(|r| (r["line"].as_u64().unwrap(), r["errors"][0]["code"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [(1, "invalid_email"), (3, "unreadable"), (4, "id_reused")]);
    let verdicts: HashMap<String, String> = ["properties", "associations"]
        .iter()
        .flat_map(|part| plan["records"][0][part].as_array().unwrap().clone())
        .map(|v| (v["name"].as_str().unwrap().into(), v["verdict"].as_str().unwrap().into()))
        .collect();
    for (name, verdict) in [
        ("email", "send"),
        ("phone", "dropped"),
        ("jobtitle", "clear"),
        ("/data/shoe", "unmapped"),
        ("business", "waits"),
    ] {
        assert_eq!(verdicts.get(name).map(String::as_str), Some(verdict), "{name}: {verdicts:?}");
    }
    let reads = plan["calls"].as_array().unwrap().iter();
    assert_eq!(reads.filter(|c| c["path"].as_str().unwrap().ends_with("batch/read")).count(), 1);

    let folder = tempfile::tempdir().unwrap();
    let said = run(&["plan", &file(&folder, text)], &[]).await;
    for line in ["REFUSED line 1: /data/email", "not mapped  line 2", "2 records, 2 calls", "waits"]
    {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
}

#[tokio::test]
async fn a_server_says_what_hubspot_holds_already() {
    let world = World::new().await;
    world.accept(&json!(samples()[..2])).await;
    world.drain().await;
    let text = r#"{"type":"user.updated","subject":"u-1001","data":{"first_name":"marie","job_title":"Boss"}}"#;
    let key = [("HUBFERRY_ADMIN_KEY", crate::support::ADMIN_KEY)];
    let (said, plan) = plan(text, &["--url", &world.url], &key).await;
    assert_eq!(said.code, 0, "{said:?}");
    let record = &plan["server"]["records"][0];
    assert_eq!((&record["external_id"], &record["linked"]), (&json!("u-1001"), &json!(true)));
    let verdict = |name: &str| {
        let all = record["properties"].as_array().unwrap();
        all.iter().find(|p| p["name"] == name).unwrap()["verdict"].clone()
    };
    assert_eq!((verdict("firstname"), verdict("jobtitle")), (json!("unchanged"), json!("send")));
    let folder = tempfile::tempdir().unwrap();
    let said = run(&["plan", &file(&folder, text), "--url", &world.url], &key).await;
    assert!(said.out.contains("contact u-1001 is in HubSpot"), "{}", said.out);
    let said = run(&["plan", &file(&folder, text), "--url", "http://127.0.0.1:9"], &key).await;
    assert_eq!(said.code, 3, "{said:?}");
}
