//! Values as people and programmes send them: what becomes of each.

use std::fs;
use std::sync::LazyLock;

use hubferry::event::{EventType, Fault};
use hubferry::mapping::{Change, Input, Mapping, Vars};
use serde_json::{Value, json};

mod situations;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

static MAPPING: LazyLock<Mapping> = LazyLock::new(|| Mapping::builtin(&Vars::default()).unwrap());

/// The lines of a fixture, each a JSON array: what is sent, and what it comes to.
fn rows(name: &str) -> Vec<(Value, Value)> {
    let text = fs::read_to_string(format!("{FIXTURES}/{name}.jsonl")).unwrap();
    let rows: Vec<_> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.len() >= 100, "{name}: {} rows", rows.len());
    rows
}

fn map(event_type: &str, data: Value) -> Result<Change, Vec<Fault>> {
    let event_type: EventType = event_type.parse().unwrap();
    let data = data.as_object().unwrap();
    let input = Input { event_type: &event_type, subject: "u-1", data };
    MAPPING.map(&input).map(|mut changes| changes.remove(0))
}

fn codes(change: &Change) -> Vec<&str> {
    change.warnings.iter().map(|warning| warning.code.as_str()).collect()
}

/// All rows that do not come out as the fixture says.
fn wrong(name: &str, found: impl Fn(&Value) -> String) -> Vec<String> {
    let rows = rows(name).into_iter();
    let found = rows.map(|(sent, wanted)| (found(&sent), sent, wanted));
    found
        .filter(|(found, _, wanted)| wanted != found)
        .map(|(found, sent, wanted)| format!("{sent}: {found:?} instead of {wanted}"))
        .collect()
}

#[test]
fn names_of_many_scripts_keep_to_their_rules() {
    let wrong = wrong("names", |sent| {
        let change = map("user.updated", json!({ "first_name": sent })).unwrap();
        change.properties["firstname"].clone()
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn countries_are_known_by_code_by_name_and_in_their_own_words() {
    let wrong = wrong("countries", |sent| {
        let change = map("user.updated", json!({ "country": sent })).unwrap();
        let found = change.properties.get("country").cloned().unwrap_or_default();
        // What is not understood is left out, and told.
        assert_eq!(codes(&change) == ["invalid_country"], found.is_empty(), "{sent}");
        found
    });
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_first_place_that_holds_something_counts_and_the_other_is_told() {
    let country = |data: Value| {
        let change = map("user.updated", data).unwrap();
        let warned = codes(&change).join(" ");
        (change.properties.get("country").cloned(), warned)
    };
    let found = |name: &str, warned: &str| (Some(name.to_owned()), warned.to_owned());
    for (data, wanted) in [
        (json!({ "address": { "country": "IT" } }), found("Italy", "")),
        (json!({ "country": " ", "address": { "country": "IT" } }), found("Italy", "")),
        (json!({ "country": null, "address": { "country": "IT" } }), found("Italy", "")),
        (json!({ "country": "IT", "address": { "country": "Italia" } }), found("Italy", "")),
        (json!({ "country": "IT", "address": { "country": "FR" } }), found("Italy", "not_used")),
        (json!({ "country": null }), found("", "")),
        (json!({ "country": "" }), found("", "")),
        // The address says nothing of a country that came without one.
        (json!({ "address": null }), (None, String::new())),
        (json!({ "address": { "city": "Rome" } }), (None, String::new())),
    ] {
        assert_eq!(country(data.clone()), wanted, "{data}");
    }
}
