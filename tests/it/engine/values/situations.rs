//! Situations from the door to HubSpot: what is sent, what HubSpot must hold, what the rows tell.

use hubferry::mapping::Mapping;
use hubspot_sandbox::Settings;
use serde_json::{Value, json};

use crate::support::files::files;
use crate::support::{Setup, World};

const SITUATIONS: &str = include_str!("../../../fixtures/situations.jsonl");
/// Properties that the situations need beside the built-in ones: name, type, field, transform.
const FIELDS: [(&str, &str, &str, &str); 5] = [
    ("a_text", "string", "text", "text"),
    ("a_bool", "bool", "booleancheckbox", "text"),
    ("a_truth", "bool", "booleancheckbox", "boolean"),
    ("a_day", "date", "date", "text"),
    ("colours", "enumeration", "checkbox", "text"),
];

fn mapping() -> Option<Mapping> {
    let fields: String = FIELDS
        .iter()
        .map(|(name, _, _, transform)| {
            format!(
                "[[fields]]\nproperty = \"{name}\"\nfrom = \"/{name}\"\n\
                 transform = \"{transform}\"\n\n"
            )
        })
        .collect();
    files(&[(
        "user.toml",
        "[associations]\nbusiness",
        &format!("{fields}[associations]\nbusiness"),
    )])
}

/// An account in Los Angeles with currencies of none, two and three digits.
async fn world() -> World {
    let currencies = ["USD", "JPY", "KWD"].map(str::to_owned).to_vec();
    let sandbox = Settings {
        limit_per_10s: 100_000,
        time_zone: "America/Los_Angeles".into(),
        additional_currencies: currencies,
        ..Settings::default()
    };
    let world = World::with(Setup { sandbox, mapping: mapping(), ..Setup::default() }).await;
    for (name, kind, field, _) in FIELDS {
        let options = match kind {
            "enumeration" => json!([{ "value": "red", "label": "Red" },
                { "value": "green", "label": "Green" }]),
            _ => json!([]),
        };
        let definition = json!({ "name": name, "label": name, "type": kind, "fieldType": field,
            "groupName": "hubferry", "options": options });
        assert!(world.sandbox.define_property("contacts", &definition), "{name}");
    }
    world.worker.load_definitions().await;
    world
}

/// Sends what a situation sends; the numbers of its rows.
async fn send(world: &World, situation: &Value) -> Vec<String> {
    let mut bodies = Vec::new();
    if let Some(raw) = situation["raw"].as_str() {
        bodies.push(raw.to_owned());
    }
    let events = situation["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    match situation["apart"].as_bool() {
        Some(true) => bodies.extend(events.iter().map(Value::to_string)),
        _ if events.is_empty() => {}
        _ => bodies.push(Value::from(events).to_string()),
    }
    let content_type = situation["content_type"].as_str().unwrap_or("application/json");
    let (mut rows, mut duplicates) = (Vec::new(), 0);
    for body in bodies {
        let (status, answer) = world.post_as(content_type, body).await;
        assert_eq!(status, 202, "{situation}: {answer}");
        duplicates += answer["duplicates"].as_u64().unwrap();
        let events = answer["events"].as_array().unwrap();
        let shown = events.iter().flat_map(|event| event["rows"].as_array().unwrap());
        rows.extend(shown.map(|row| row["id"].as_str().unwrap().to_owned()));
        if situation["apart"] == true {
            world.drain().await;
        }
    }
    assert_eq!(duplicates, situation["duplicates"].as_u64().unwrap_or(0), "{situation}");
    rows
}

/// What HubSpot holds or the rows tell otherwise than the situation says.
async fn wrong(world: &World, situation: &Value, rows: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (record, wanted) in situation["want"].as_object().unwrap() {
        let (kind, id) = record.split_once('/').unwrap();
        let plural = match kind {
            "contact" => "contacts",
            "company" => "companies",
            _ => "deals",
        };
        let found = world
            .sandbox
            .objects(plural)
            .into_iter()
            .find(|record| record.properties.get("hubferry_id").is_some_and(|key| key == id));
        let Some(found) = found else {
            wrong.push(format!("{record} is not there"));
            continue;
        };
        for (name, value) in wanted.as_object().unwrap() {
            let held = found.properties.get(name).filter(|held| !held.is_empty());
            if held.map(String::as_str) != value.as_str() {
                wrong.push(format!("{record} {name}: {held:?} instead of {value}"));
            }
        }
    }
    let mut told = Vec::new();
    for row in rows {
        let shown = world.row(row).await;
        if shown["status"] != "synced" {
            wrong.push(format!("row {row}: {} {}", shown["status"], shown["error"]));
        }
        told.extend(shown["warnings"].as_array().unwrap().iter().map(|w| w["code"].clone()));
    }
    let wanted = situation["warnings"].as_array().cloned().unwrap_or_default();
    for code in &wanted {
        if !told.contains(code) {
            wrong.push(format!("{code} is not told: {told:?}"));
        }
    }
    if wanted.is_empty() && !told.is_empty() {
        wrong.push(format!("told without need: {told:?}"));
    }
    wrong
}

#[tokio::test]
async fn hubspot_holds_what_was_meant() {
    let world = world().await;
    let situations: Vec<Value> =
        SITUATIONS.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut sent = Vec::new();
    for situation in &situations {
        sent.push(send(&world, situation).await);
    }
    world.drain().await;
    let mut faults = Vec::new();
    for (situation, rows) in situations.iter().zip(&sent) {
        for fault in wrong(&world, situation, rows).await {
            faults.push(format!("{}: {fault}", situation["kind"]));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
