//! The documentation is complete: every code, metric and gate that the source can show is explained.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hubferry::queue::gates::kind::GateKind;

use super::{Text, files};

#[test]
fn every_metric_is_explained_and_none_that_is_gone() {
    let files = files();
    let mut names = BTreeSet::new();
    for kind in ["counter!(", "gauge!(", "histogram!("] {
        let found = first_words(&files, "src/", &format!("metrics::{kind}"));
        assert!(!found.is_empty(), "no {kind} in the source");
        names.extend(found);
    }
    assert!(names.len() >= 14, "too few were found: {names:?}");
    explained(&files, "docs/OPS.md", &names, |name| format!("\n| `{name}` |"));
    let told: BTreeSet<&str> = doc(&files, "docs/OPS.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .filter(|name| name.starts_with("hubferry_"))
        .collect();
    assert_eq!(told, names, "docs/OPS.md explains metrics that are gone");
}

#[test]
fn every_setting_that_a_text_names_exists_and_has_the_default_that_it_says() {
    let files = files();
    let defaults = defaults(&files);
    let sections: BTreeSet<&str> =
        defaults.keys().filter_map(|key| Some(key.split_once('.')?.0)).collect();
    let (mut named, mut wrong) = (0, Vec::new());
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        for (at, name) in ticked(&file.text) {
            let Some((section, key)) = name.split_once('.') else { continue };
            if !sections.contains(section) || !is_word(key) || ["rs", "md"].contains(&key) {
                continue;
            }
            named += 1;
            let told = file.text[at..].strip_prefix(" (").and_then(|rest| rest.split(')').next());
            let told = told.filter(|text| text.bytes().all(|b| b.is_ascii_digit() || b == b','));
            let default = defaults.get(name);
            if default.is_none() || told.is_some_and(|told| Some(&told.replace(',', "")) != default)
            {
                wrong.push(format!("{}: {name} {}", file.path, told.unwrap_or_default()));
            }
        }
    }
    assert!(named >= 20, "only {named} settings are named");
    assert!(wrong.is_empty(), "no such settings or defaults: {wrong:#?}");
}

#[test]
fn every_gate_has_its_page_in_the_runbook_and_none_that_is_gone() {
    let files = files();
    let kinds = gate_kinds(&files);
    assert!(kinds.len() >= 11, "too few were found: {kinds:?}");
    let named: BTreeSet<&str> = GateKind::ALL.into_iter().map(GateKind::as_str).collect();
    assert_eq!(named, kinds, "the code's list and the table's constraint");
    let told: BTreeSet<&str> = doc(&files, "docs/OPS.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### Gate `")?.strip_suffix('`'))
        .collect();
    assert_eq!(told, kinds);
}

#[test]
fn every_link_between_the_texts_leads_somewhere() {
    let files = files();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut links, mut broken) = (0, Vec::new());
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root.join(&file.path).parent().unwrap().to_owned();
        for (_, rest) in file.text.match_indices("](").map(|(at, _)| file.text.split_at(at + 2)) {
            let target = rest.split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            links += 1;
            let there = if path.is_empty() { root.join(&file.path) } else { folder.join(path) };
            let anchor = target.split_once('#').map(|(_, anchor)| anchor);
            let fine = there.exists()
                && anchor.is_none_or(|anchor| {
                    let text = std::fs::read_to_string(&there).unwrap_or_default();
                    text.lines().filter_map(heading).any(|found| found == anchor)
                });
            if !fine {
                broken.push(format!("{}: {target}", file.path));
            }
        }
    }
    assert!(links >= 30, "only {links} links were found");
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn every_test_that_the_design_names_exists() {
    let files = files();
    let sources = || files.iter().filter(|file| file.path.ends_with(".rs"));
    let functions: BTreeSet<&str> = sources().flat_map(|file| functions(&file.text)).collect();
    let (mut named, mut missing) = (0, Vec::new());
    for page in files.iter().filter(|file| {
        file.path == "ARCHITECTURE.md"
            || (file.path.starts_with("docs/design/") && file.path.ends_with(".md"))
    }) {
        for test in tests_named(&page.text) {
            named += 1;
            if !functions.contains(test) {
                missing.push(format!("{}: {test}", page.path));
            }
        }
    }
    assert!(named >= 100, "only {named} tests are named");
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
}

#[test]
fn what_is_not_explained_is_reported() {
    let text = "fn f() { Problem::new(\n  Status::A,\n  \"no_such\", g(\")\"))\n}\n\
                // Problem::new(\n#[cfg(test)]\nmod t { Problem::new(\"in_a_test\") }";
    let file = Text { path: "src/http/x.rs".into(), text: text.into() };
    let files = [file, Text { path: "docs/ERRORS.md".into(), text: "| `other` |".into() }];
    let codes = first_words(&files, "src/http/", "Problem::new(");
    assert_eq!(codes, BTreeSet::from(["no_such"]));
    let told = std::panic::catch_unwind(|| {
        explained(&files, "docs/ERRORS.md", &BTreeSet::from(["other"]), |code| format!("`{code}`"));
    });
    assert!(told.is_ok());
    let silent = std::panic::catch_unwind(|| {
        explained(&files, "docs/ERRORS.md", &codes, |code| format!("`{code}`"));
    });
    assert!(silent.is_err());
    let page = "| 1 | held by `crm_record`, `a_test_of_five_words` |\n```\ncode\n```\n`not_a_test`";
    assert_eq!(tests_named(page).collect::<Vec<_>>(), ["a_test_of_five_words"]);
    let source = "async fn a_test_of_five_words() {}\n    fn f<T>(t: T) {}";
    assert_eq!(functions(source).collect::<Vec<_>>(), ["a_test_of_five_words", "f"]);
    assert!(is_code("INVALID_OPTION") && is_code("crm.associations.NO_ASSOCIATIONS_FOUND"));
    assert!(!is_code("utf8") && !is_code("GET") && !is_code("A sentence"));
    assert_eq!(
        heading("## What `each` status means, here").unwrap(),
        "what-each-status-means-here"
    );
}

/// Fails with every word that the text of `path` does not hold in the form that `how` gives it.
pub(super) fn explained(
    files: &[Text],
    path: &str,
    words: &BTreeSet<&str>,
    how: impl Fn(&str) -> String,
) {
    let text = doc(files, path);
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(&how(word))).collect();
    assert!(missing.is_empty(), "{path} does not explain {missing:#?}");
}

pub(super) fn doc<'a>(files: &'a [Text], path: &str) -> &'a str {
    &files.iter().find(|file| file.path == path).unwrap_or_else(|| panic!("no {path}")).text
}

/// Sources below a folder (or one file), tests apart.
pub(super) fn sources<'a>(files: &'a [Text], below: &str) -> impl Iterator<Item = &'a Text> {
    files.iter().filter(move |file| {
        file.path.starts_with(below)
            && file.path.ends_with(".rs")
            && !file.path.ends_with("tests.rs")
    })
}

/// What stands before a file's own tests.
pub(super) fn tested_off(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The string literals of every call of `call`, those of calls within it included.
pub(super) fn calls<'a>(files: &'a [Text], below: &str, call: &str) -> Vec<Vec<&'a str>> {
    let mut found = Vec::new();
    for file in sources(files, below) {
        let text = tested_off(&file.text);
        for (at, _) in text.match_indices(call) {
            let line = text[..at].rsplit('\n').next().unwrap_or_default();
            let inside = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            if !inside && !line.contains("//") && !line.ends_with("fn ") {
                found.push(arguments(&text[at + call.len()..]));
            }
        }
    }
    found
}

/// The string literals up to the parenthesis that closes.
fn arguments(text: &str) -> Vec<&str> {
    let (mut depth, mut at, mut found) = (1, 0, Vec::new());
    while let Some(c) = text[at..].chars().next() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '"' => {
                let body = &text[at + 1..];
                let end = close(body);
                found.push(&body[..end]);
                at += end + 1;
            }
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            break;
        }
    }
    found
}

/// Where the literal that has begun ends.
fn close(body: &str) -> usize {
    let mut escaped = false;
    let end = body.find(|c: char| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    end.unwrap_or(body.len())
}

/// Of every call the first literal that is a word, where it has one.
pub(super) fn first_words<'a>(files: &'a [Text], below: &str, call: &str) -> BTreeSet<&'a str> {
    let word = |args: Vec<&'a str>| args.into_iter().find(|text| is_word(text));
    calls(files, below, call).into_iter().filter_map(word).collect()
}

/// The literals that follow `mark`, which ends in their quote.
pub(super) fn after<'a>(files: &'a [Text], below: &str, mark: &str) -> Vec<&'a str> {
    let of = |file: &'a Text| {
        let text = tested_off(&file.text);
        let found = text.match_indices(mark).map(|(at, _)| {
            let body = &text[at + mark.len()..];
            &body[..close(body)]
        });
        found.collect::<Vec<_>>()
    };
    sources(files, below).flat_map(of).collect()
}

/// The words of `Self::Name => "word"` in a file.
pub(super) fn arms<'a>(files: &'a [Text], path: &str) -> impl Iterator<Item = &'a str> {
    let lines = doc(files, path).lines().map(str::trim);
    let arms = lines.filter(|line| line.starts_with("Self::"));
    arms.filter_map(|line| line.split_once("=> \"")?.1.strip_suffix("\","))
}

/// The string literals of a text.
pub(super) fn literals(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split('"').skip(1).step_by(2).collect::<Vec<_>>())
}

/// The dotted keys of the default settings, with their values. A setting without a default is in a
/// comment.
fn defaults(files: &[Text]) -> BTreeMap<String, String> {
    let (mut section, mut defaults) = (String::new(), BTreeMap::new());
    for line in doc(files, "config/default.toml").lines() {
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').to_owned();
        } else if let Some((key, value)) = line.trim_start_matches("# ").split_once(" = ")
            && is_word(key)
        {
            defaults.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    defaults
}

/// The words in backticks, and where each ends.
fn ticked(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let words = text.split('`').skip(1).step_by(2);
    words.map(|word| (word.as_ptr() as usize - text.as_ptr() as usize + word.len() + 1, word))
}

/// The names in backticks that look like tests: five words or more, joined by underscores.
fn tests_named(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter(|name| {
        name.split('_').count() >= 5
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    })
}

/// The names of the functions that a source file defines.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ")
        .skip(1)
        .filter_map(|rest| rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next())
}

/// The kinds that the table of the gates allows, by the newest migration that says so.
fn gate_kinds(files: &[Text]) -> BTreeSet<&str> {
    let migrations = files.iter().filter(|file| file.path.starts_with("migrations/"));
    let list = migrations
        .filter_map(|file| file.text.split_once("CONSTRAINT gate_kind CHECK (kind IN"))
        .next_back()
        .map(|(_, rest)| rest.split("))").next().unwrap_or_default());
    list.unwrap_or_default().split('\'').skip(1).step_by(2).collect()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// `INVALID_OPTION`, `crm.associations.NO_ASSOCIATIONS_FOUND`.
pub(super) fn is_code(text: &str) -> bool {
    let last = text.rsplit('.').next().unwrap_or_default();
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.');
    plain
        && last.len() >= 4
        && last.starts_with(|c: char| c.is_ascii_uppercase())
        && last.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}

/// The anchor of a heading.
fn heading(line: &str) -> Option<String> {
    let text = line.strip_prefix('#')?.trim_start_matches('#').strip_prefix(' ')?;
    let kept = text.to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
}
