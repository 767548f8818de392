//! What comes in from outside as text: bodies of events, mapping files, settings. Kept examples with
//! what each must be answered, and the same examples altered at random: nothing panics, and who made
//! the fault is told what it is. (HubSpot's replies have theirs in `classification`.)
//!
//! What an alteration has once broken is kept in `tests/fixtures/regressions.txt`.

use std::path::Path;

use hubferry::config::{Config, Environment};
use hubferry::mapping::{Mapping, Vars};
use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;
use serde_json::Value;

use crate::support::World;

const BODIES: &str = include_str!("../../fixtures/bodies.jsonl");
const MAPPINGS: &str = include_str!("../../fixtures/mappings.jsonl");
const SETTINGS: &str = include_str!("../../fixtures/settings.jsonl");
const OBJECTS: &str = include_str!("../../../config/objects.toml");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect()
}

/// What `text` is as a mapping file: why not, if not.
fn mapping(text: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("mappings")).expect("a directory");
    std::fs::write(dir.path().join("objects.toml"), OBJECTS).expect("a file");
    std::fs::write(dir.path().join("mappings/one.toml"), text).expect("a file");
    let loaded = Mapping::load(dir.path(), &Vars::default());
    let named = |error: hubferry::mapping::MappingError| {
        let said = error.to_string();
        assert!(said.contains("one.toml"), "the file is named: {said}");
        said
    };
    loaded.map(drop).map_err(named)
}

/// What `text` is as a file of settings.
fn settings(text: &str) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), text).expect("a file");
    load(file.path())
}

fn load(file: &Path) -> Result<(), String> {
    Config::load(Some(file), &Environment::of(&[])).map(drop).map_err(|error| error.to_string())
}

fn as_kept(kept: &str, judge: fn(&str) -> Result<(), String>) {
    let mut faults = Vec::new();
    for line in lines(kept) {
        let text = line["text"].as_str().expect("a text");
        match (judge(text), line["names"].as_str()) {
            (Ok(()), None) => {}
            (Err(said), Some(named)) if said.contains(named) => {}
            (found, wanted) => faults.push(format!("{text:?}: {found:?}, not {wanted:?}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn each_kept_mapping_file_is_taken_or_its_fault_named() {
    as_kept(MAPPINGS, mapping);
}

#[test]
fn each_kept_file_of_settings_is_taken_or_its_fault_named() {
    as_kept(SETTINGS, settings);
}

#[tokio::test]
async fn each_kept_body_is_answered_as_it_was() {
    let world = World::new().await;
    for line in lines(BODIES) {
        let (kind, body) = (&line["content_type"], &line["body"]);
        let body = body.as_str().expect("a text").to_owned();
        let (status, answer) = world.post_as(kind.as_str().expect("a type"), body).await;
        let told = (status, answer["code"].as_str());
        let wanted = (line["status"].as_u64().expect("a status"), line["code"].as_str());
        assert_eq!((u64::from(told.0), told.1), wanted, "{line}: {answer}");
    }
}

/// A kept text with some of its characters changed, cut or doubled, or with a piece of another.
fn altered(kept: &'static str, field: &'static str) -> impl Strategy<Value = String> {
    let texts: Vec<String> = lines(kept)
        .iter()
        .map(|line| line[field].as_str().expect("a text").to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let pick = prop::sample::select(texts);
    let edit = (
        any::<prop::sample::Index>(),
        0..4_u8,
        prop_oneof![
            any::<char>().prop_map(String::from),
            "[\\[\\]{}\"'=,.:\\\\/#\\n\\u0000-]{1,3}",
            "true|null|-1|1e999|9223372036854775808|\"\"|\\[\\[x\\]\\]|\\u202e",
        ],
    );
    (pick.clone(), pick, prop::collection::vec(edit, 1..4)).prop_map(|(text, other, edits)| {
        let mut text: Vec<char> = text.chars().collect();
        for (place, how, piece) in edits {
            let at = place.index(text.len() + 1);
            match how {
                0 => drop(text.splice(at..at, piece.chars())),
                1 => drop(text.drain(at..(at + 5).min(text.len()))),
                2 => text.truncate(at),
                _ => drop(text.splice(at..at, other.chars().take(at % 40))),
            }
        }
        text.into_iter().collect()
    })
}

fn kept_failures() -> ProptestConfig {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/regressions.txt");
    let kept = FileFailurePersistence::Direct(file);
    ProptestConfig { failure_persistence: Some(Box::new(kept)), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(kept_failures())]

    #[test]
    fn no_mapping_file_makes_it_panic(text in altered(MAPPINGS, "text")) {
        let first = mapping(&text).map_err(|said| said.is_empty());
        prop_assert_ne!(first, Err(true));
    }

    #[test]
    fn no_file_of_settings_makes_it_panic(text in altered(SETTINGS, "text")) {
        let first = settings(&text).map_err(|said| said.is_empty());
        prop_assert_ne!(first, Err(true));
    }
}

/// Bodies go through the door of one server, a few hundred of them.
#[test]
fn no_body_is_our_fault() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let world = runtime.block_on(World::new());
    let config = ProptestConfig { cases: 400, ..kept_failures() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let kinds = ["application/json", "application/x-ndjson", "application/cloudevents+json"];
    let strategy = (altered(BODIES, "body"), prop::sample::select(kinds.to_vec()));
    let outcome = runner.run(&strategy, |(body, kind)| {
        let (status, answer) = runtime.block_on(world.post_as(kind, body));
        prop_assert!([202, 400, 409, 413, 422].contains(&status), "{}: {}", status, answer);
        let said = answer["detail"].as_str().is_some_and(|detail| !detail.is_empty());
        prop_assert!(status == 202 || said, "{}", answer);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
