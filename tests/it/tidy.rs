//! The rules of the house that no compiler checks: who imports whom, who names the queue's
//! tables, and what no file may hold.
//!
//! Each rule is a function from a file's text to what is wrong with it, so that every rule is
//! also shown a text that breaks it.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

mod circles;
mod codes;
mod dockerfile;
mod documented;
mod handlers;
mod sabotage;
mod source;
use source::{Keep, crate_paths, line_of, parts, words};

/// Each module of the crate and those it may import: the rows below its own, plus what a row's
/// members may take of each other.
const ROWS: [(&str, &[&str]); 17] = [
    ("lib", &[]),
    ("main", &["cli"]),
    (
        "cli",
        &[
            "app",
            "http",
            "operator",
            "worker",
            "engine",
            "portals",
            "settings",
            "queue",
            "hubspot",
            "mapping",
            "event",
            "config",
            "telemetry",
        ],
    ),
    (
        "app",
        &[
            "http",
            "operator",
            "worker",
            "engine",
            "portals",
            "access",
            "settings",
            "queue",
            "hubspot",
            "mapping",
            "event",
            "config",
            "telemetry",
        ],
    ),
    (
        "config",
        &[
            "telemetry",
            "http",
            "operator",
            "worker",
            "engine",
            "portals",
            "access",
            "settings",
            "queue",
            "hubspot",
            "mapping",
            "event",
        ],
    ),
    ("telemetry", &[]),
    ("http", &["operator", "engine", "access", "settings", "queue", "hubspot", "mapping", "event"]),
    (
        "operator",
        &["engine", "portals", "access", "settings", "queue", "hubspot", "mapping", "event"],
    ),
    ("worker", &["engine", "portals", "settings", "queue", "hubspot", "mapping", "event"]),
    ("engine", &["queue", "hubspot", "mapping", "event"]),
    ("portals", &["settings", "queue", "hubspot", "mapping", "event"]),
    ("access", &["queue", "mapping", "event"]),
    ("settings", &["queue", "mapping", "event"]),
    ("queue", &["mapping", "event"]),
    ("hubspot", &["mapping", "event"]),
    ("mapping", &["event"]),
    ("event", &[]),
];

/// The tables that only `queue` may name.
const TABLES: [&str; 17] = [
    "schema_code",
    "account_definition",
    "event_erasure",
    "crm_portal",
    "event",
    "crm_record",
    "sync_queue",
    "crm_association",
    "attempt",
    "hubspot_call",
    "gate",
    "audit",
    "tally",
    "pulse",
    "setting",
    "row_email",
    "background_task",
];

/// The longest file of the program, in lines. A test may be a third longer.
const LINES: usize = 300;
const TEST_LINES: usize = 400;

/// The most Rust files in a folder: a folder is read at a glance.
const FILES: usize = 14;

/// Where the project's own texts are.
const FOLDERS: [&str; 9] =
    ["src", "crates", "tests", "examples", "config", "migrations", "docs", "scripts", ".ci"];

struct Text {
    /// Relative to the project, with `/`.
    path: String,
    text: String,
}

/// A line number and what is wrong there.
type Fault = (usize, String);

#[test]
fn modules_import_only_from_rows_below_their_own() {
    no_faults(
        |file| if file.path.starts_with("src/") { imports(&file.path, &file.text) } else { vec![] },
    );
}

/// The simulated HubSpot and the private Postgres are for trying it out: the service knows neither.
#[test]
fn only_the_command_line_uses_the_other_crates_of_the_workspace() {
    no_faults(|file| {
        let elsewhere = file.path.starts_with("src/") && !in_module(&file.path, "cli");
        if elsewhere { other_crates(&file.text) } else { vec![] }
    });
}

#[test]
fn the_engine_is_pure() {
    no_faults(|file| {
        let engine = file.path.starts_with("src/engine/");
        if engine { impure(&file.text) } else { vec![] }
    });
}

#[test]
fn only_the_queue_names_its_tables() {
    no_faults(|file| {
        let elsewhere = file.path.starts_with("src/") && !in_module(&file.path, "queue");
        if elsewhere { tables(&file.text) } else { vec![] }
    });
}

#[test]
fn every_source_file_says_first_what_it_is_and_stays_readable() {
    no_faults(
        |file| if file.path.ends_with(".rs") { shape(&file.path, &file.text) } else { vec![] },
    );
}

#[test]
fn a_folder_is_read_at_a_glance() {
    let files = files();
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files.iter().filter(|file| file.path.ends_with(".rs")) {
        let (folder, _) = file.path.rsplit_once('/').unwrap_or_default();
        *folders.entry(folder).or_default() += 1;
    }
    let crowded = folders.iter().filter(|(_, files)| **files > FILES);
    let crowded: Vec<&str> = crowded.map(|(folder, _)| *folder).collect();
    assert!(crowded.is_empty(), "more than {FILES} files: {crowded:?}");
}

#[test]
fn no_file_holds_an_intention_a_stray_blank_or_somebodys_home() {
    no_faults(|file| leftovers(&file.text));
}

#[test]
fn an_import_from_above_is_reported_with_its_line_and_what_is_allowed() {
    let text = "//! Says `crate::app` in words.\nuse crate::{\n    event::Event,\n    worker::{Step, fold},\n};\n\
                fn f() { let _ = \"crate::http\"; crate :: app::run(); crate::queue::ok() }\n";
    let found = imports("src/queue/delivery/lease.rs", text);
    assert_eq!(
        found,
        [
            (4, "`queue` imports `worker::Step`; allowed: mapping, event".to_owned()),
            (4, "`queue` imports `worker::fold`; allowed: mapping, event".to_owned()),
            (6, "`queue` imports `app::run`; allowed: mapping, event".to_owned()),
        ]
    );
    assert_eq!(imports("src/worker/step.rs", "use crate::{app, http as way_in};").len(), 2);
    assert_eq!(imports("src/http/mod.rs", "use crate::*;").len(), 1);
    assert_eq!(imports("src/main.rs", "use hubferry::{cli, access::Access};").len(), 1);
    assert_eq!(imports("src/misc.rs", "").len(), 1);
    assert_eq!(imports("src/hubspot/client.rs", "use crate::config::Config;").len(), 1);
    assert_eq!(imports("src/cli/demo.rs", "use crate::app;\nfn f<'a>(x: &'a str) {}"), []);
}

#[test]
fn a_table_named_in_a_statement_is_reported_and_in_prose_is_not() {
    let text = "// FROM sync_queue\nlet a = \"SELECT 1\n  FROM sync_queue q\";\nlet gate = \"update gate\";\n\
                let b = r#\"UPDATE  gate SET x = '\"'\"#; let c = \"FROM events\";\n";
    let lines: Vec<usize> = tables(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn each_further_rule_reports_what_breaks_it() {
    assert_eq!(shape("src/a.rs", "use std;\n"), [(1, "does not begin with `//!`".to_owned())]);
    let long = format!("//! Long.\n{}", "\n".repeat(LINES));
    assert_eq!(shape("src/a.rs", &long).len(), 1);
    assert_eq!(shape("tests/it/a.rs", &long).len(), 0);
    let text = "//! No `Instant`.\nuse std::time::Instant;\nfn f() { Utc::now() }\n";
    assert_eq!(impure(text).len(), 2);
    let text = "//! Not `pg_cluster`.\nuse hubspot_sandbox::Sandbox;\n";
    assert_eq!(other_crates(text), [(2, "uses the crate `hubspot_sandbox`".to_owned())]);
    let later = concat!("TO", "DO");
    assert_eq!(leftovers(&format!("// {later}: this\n")).len(), 1);
    assert_eq!(leftovers(concat!("#[ig", "nore]\n")).len(), 1);
    assert_eq!(leftovers("ok\nblank \n"), [(2, "ends in a blank".to_owned())]);
    assert_eq!(leftovers(concat!("/ho", "me/ada/x\n")).len(), 1);
    assert_eq!(leftovers("/home/linuxbrew/.linuxbrew\n"), []);
}

/// Every import that a file's module may not make.
fn imports(path: &str, text: &str) -> Vec<Fault> {
    let module = module_of(path);
    let Some((_, allowed)) = ROWS.iter().find(|(name, _)| *name == module) else {
        return vec![(1, format!("`{module}` is in no row: give it its place in ROWS"))];
    };
    let code = parts(text, Keep::Code);
    let mut faults = Vec::new();
    for (at, path) in crate_paths(&code) {
        let target = path.split("::").next().unwrap_or_default();
        let fine = target == module || module == "lib" || allowed.contains(&target);
        if !fine {
            let row = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
            let fault = format!("`{module}` imports `{path}`; allowed: {row}");
            faults.push((line_of(&code, at), fault));
        }
    }
    faults
}

/// Every word that makes code wait, ask a clock, draw or reach outside.
fn impure(text: &str) -> Vec<Fault> {
    const WORDS: [&str; 10] = [
        "async",
        "await",
        "tokio",
        "sqlx",
        "reqwest",
        "tracing",
        "metrics",
        "Instant",
        "SystemTime",
        "rng",
    ];
    let code = parts(text, Keep::Code);
    let now = ["Utc::now", "Local::now"].iter().flat_map(|clock| code.match_indices(clock));
    let mut found: Vec<(usize, &str)> = now.collect();
    let words = words(&code).filter(|word| WORDS.contains(word));
    found.extend(words.map(|word| (word.as_ptr() as usize - code.as_ptr() as usize, word)));
    found.into_iter().map(|(at, word)| (line_of(&code, at), format!("uses `{word}`"))).collect()
}

/// Every use of another crate of the workspace.
fn other_crates(text: &str) -> Vec<Fault> {
    let code = parts(text, Keep::Code);
    let used = words(&code).filter(|word| ["hubspot_sandbox", "pg_cluster"].contains(word));
    used.map(|word| {
        let at = word.as_ptr() as usize - code.as_ptr() as usize;
        (line_of(&code, at), format!("uses the crate `{word}`"))
    })
    .collect()
}

/// Every statement that names a table of the queue's: a keyword in capitals, then the name.
fn tables(text: &str) -> Vec<Fault> {
    let strings = parts(text, Keep::Strings);
    let mut faults = Vec::new();
    let mut before = "";
    for word in words(&strings) {
        let keyword =
            matches!(before, "FROM" | "JOIN" | "INTO" | "UPDATE" | "TABLE" | "ONLY" | "TRUNCATE");
        if keyword && TABLES.contains(&word) {
            let at = word.as_ptr() as usize - strings.as_ptr() as usize;
            faults.push((line_of(&strings, at), format!("names the queue's table `{word}`")));
        }
        before = word;
    }
    faults
}

fn shape(path: &str, text: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push((1, "does not begin with `//!`".to_owned()));
    }
    let lines = text.lines().count();
    let most = if path.starts_with("tests/") { TEST_LINES } else { LINES };
    if lines > most {
        faults.push((lines, format!("{lines} lines; {most} is the most: split it")));
    }
    faults
}

fn leftovers(text: &str) -> Vec<Fault> {
    // In halves, so that this file holds none of them.
    let banned = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("to", "do!"),
        concat!("#[ig", "nore"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
    ];
    let mut faults = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.replace("/home/linuxbrew", "");
        let held = banned.iter().find(|word| line.contains(*word));
        faults.extend(held.map(|word| (number + 1, format!("holds `{word}`"))));
        if line.ends_with([' ', '\t', '\r']) {
            faults.push((number + 1, "ends in a blank".to_owned()));
        }
    }
    faults
}

/// The first name below `src`, without `.rs`.
fn module_of(path: &str) -> &str {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let first = path.split('/').next().unwrap_or_default();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn in_module(path: &str, module: &str) -> bool {
    module_of(path) == module
}

/// Applies a rule to every file, and fails with all that it finds.
fn no_faults(rule: impl Fn(&Text) -> Vec<Fault>) {
    let files = files();
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the files were not found");
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| {
            rule(file).into_iter().map(|(line, fault)| format!("{}:{line}: {fault}", file.path))
        })
        .collect();
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Every text of the project; what is not UTF-8 or was made by a tool is none.
fn files() -> Vec<Text> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !["Cargo.lock", "LICENSE", ".git", ".env"].contains(&&*name) {
            paths.push(path);
        } else if path.is_dir() && FOLDERS.contains(&&*name) {
            collect(&path, &mut paths);
        }
    }
    paths.sort();
    let text = |path: PathBuf| {
        let text = fs::read_to_string(&path).ok()?;
        let path = path.strip_prefix(root).ok()?.to_string_lossy().replace('\\', "/");
        (!path.contains(".min.")).then_some(Text { path, text })
    };
    paths.into_iter().filter_map(text).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}
