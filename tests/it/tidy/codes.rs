//! The stable codes. docs/ERRORS.md lists each family in a table of its own: the source can show every
//! code of the table, and no other.

use std::collections::BTreeSet;

use super::documented::{
    after, arms, calls, doc, first_words, is_code, literals, sources, tested_off,
};
use super::{Text, files};

/// Upper-case words that never become a row's code; the last two are warnings, in lower case.
const NO_CODES: [&str; 7] = [
    "CARGO_PKG_VERSION",
    "HUBSPOT_DEFINED",
    "DAILY",
    "SECONDLY",
    "WARNING",
    "TIME_CUT",
    "TRUNCATED",
];

/// Codes that other folders write, with the file.
const ELSEWHERE: [(&str, &str); 2] =
    [("ADOPTED_RECORD", "src/queue/model.rs"), ("OUTAGE", "src/queue/gates/breaker.rs")];
/// Codes of HubSpot's that are passed on although no code here names them.
const HUBSPOT: [&str; 2] = ["NOT_FOUND", "VALIDATION_ERROR"];

#[test]
fn every_problem_of_the_api_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut codes = first_words(&files, "src/http/", "Problem::new(");
    codes.extend(first_words(&files, "src/http/problem.rs", "Self::new("));
    // The errors of `operator` stand there as pairs of a status and a code.
    let pairs = doc(&files, "src/http/problem.rs").lines();
    let pairs = pairs.filter(|line| line.contains("=> (StatusCode::"));
    codes.extend(pairs.flat_map(literals));
    assert!(codes.len() >= 25, "too few were found: {codes:?}");
    assert_eq!(listed(&files, &["Answers of the HTTP API"], 1), codes);
}

#[test]
fn every_fault_of_an_event_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut codes = BTreeSet::new();
    for (folder, call) in [
        ("src/event/", "fault("),
        ("src/event/", "Fault::new("),
        ("src/mapping/", "Fault::new("),
        ("src/mapping/", "Invalid::new("),
        ("src/mapping/transform/", "Self::new("),
    ] {
        let found = first_words(&files, folder, call);
        assert!(!found.is_empty(), "no {call} in {folder}");
        codes.extend(found);
    }
    codes.extend(after(&files, "src/http/", "code: \""));
    assert!(codes.len() >= 25, "too few were found: {codes:?}");
    assert_eq!(listed(&files, &["Faults of an event"], 1), codes);
}

#[test]
fn every_fault_of_a_setting_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut codes = first_words(&files, "src/settings/", "wrong(");
    codes.extend(after(&files, "src/settings/", "code: \""));
    assert!(codes.len() >= 6, "too few were found: {codes:?}");
    assert_eq!(listed(&files, &["Faults of a setting"], 1), codes);
}

#[test]
fn every_code_of_a_row_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut codes = BTreeSet::new();
    for folder in ["src/engine/", "src/hubspot/", "src/portals/", "src/worker/"] {
        for file in sources(&files, folder) {
            codes.extend(literals(tested_off(&file.text)).filter(|word| is_code(word)));
        }
    }
    for word in NO_CODES {
        assert!(codes.remove(word), "{word} is gone: take it out of NO_CODES");
    }
    assert!(codes.len() >= 45, "too few were found: {codes:?}");
    let mut listed =
        listed(&files, &["Why a row failed", "Codes of gates", "Property definitions"], 1);
    for (code, place) in ELSEWHERE {
        assert!(doc(&files, place).contains(code), "{code} is not in {place}");
        codes.insert(code);
    }
    codes.extend(HUBSPOT);
    // Made of HubSpot's status, or HubSpot's own word for a grant.
    listed.retain(|code| !code.starts_with("HTTP_") && is_code(code));
    codes.retain(|code| !code.starts_with("HTTP_"));
    assert_eq!(listed, codes);
}

#[test]
fn every_warning_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut words: BTreeSet<String> = BTreeSet::new();
    for (file, call) in [
        ("src/mapping/draft.rs", "warn("),
        ("src/engine/coerce/changes.rs", "warn("),
        ("src/engine/verdict/mod.rs", "add("),
    ] {
        let found = first_words(&files, file, call);
        assert!(!found.is_empty(), "no {call} in {file}");
        words.extend(found.into_iter().map(str::to_owned));
    }
    for call in ["Note::new(", "stray("] {
        let mut notes = calls(&files, "src/engine/coerce/value.rs", call);
        notes.extend(calls(&files, "src/engine/coerce/choice.rs", call));
        let codes: Vec<&str> = notes.iter().filter_map(|args| args.first().copied()).collect();
        assert!(codes.len() >= 2, "no {call} in coerce/");
        words.extend(codes.iter().map(|code| match *code {
            "READ_ONLY_VALUE" => "read_only".to_owned(),
            code => code.to_lowercase(),
        }));
    }
    let worker = sources(&files, "src/worker/");
    let adopted = worker.filter(|file| literals(&file.text).any(|word| word == "adopted_kept"));
    assert!(adopted.count() > 0, "adopted_kept is gone");
    words.insert("adopted_kept".to_owned());
    let words: BTreeSet<&str> = words.iter().map(String::as_str).collect();
    let mut explained = listed(&files, &["Warnings of a row"], 1);
    // A value that is left out has the code that refuses the event elsewhere.
    let faults = listed(&files, &["Faults of an event"], 1);
    explained.extend(words.iter().filter(|word| faults.contains(*word)));
    assert_eq!(explained, words);
}

#[test]
fn every_class_of_failure_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut words: BTreeSet<&str> = arms(&files, "src/hubspot/classify/failure.rs").collect();
    words.insert("ok");
    let mut explained = listed(&files, &["Classes"], 1);
    explained.extend(listed(&files, &["Classes"], 2));
    assert_eq!(explained, words);
}

#[test]
fn a_table_lists_the_codes_of_its_first_column() {
    let text = "## One\n| code | x |\n|---|---|\n| `a`, `b.C` and the like | `c` |\n### More\n| `d` | |\n\
                ## Two\n| `e` | |\n";
    let files = [Text { path: "docs/ERRORS.md".into(), text: text.into() }];
    assert_eq!(listed(&files, &["One"], 1), BTreeSet::from(["a", "b.C", "d"]));
    assert_eq!(listed(&files, &["One", "Two"], 1).len(), 4);
}

/// The codes in one column of the tables below these headings of docs/ERRORS.md, if the first column
/// has a code.
fn listed<'a>(files: &'a [Text], headings: &[&str], column: usize) -> BTreeSet<&'a str> {
    let mut codes = BTreeSet::new();
    for heading in headings {
        let text = doc(files, "docs/ERRORS.md");
        let (_, rest) = text
            .split_once(&format!("## {heading}\n"))
            .unwrap_or_else(|| panic!("docs/ERRORS.md has no part {heading}"));
        let part = rest.split("\n## ").next().unwrap_or_default();
        for line in part.lines().filter(|line| line.starts_with("| `")) {
            let cell = line.split('|').nth(column).unwrap_or_default();
            codes.extend(cell.split('`').skip(1).step_by(2));
        }
    }
    codes
}
