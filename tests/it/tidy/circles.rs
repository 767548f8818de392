//! No circles between files: a file never needs, directly or by others, a file that needs it.
//!
//! A folder's own file (`mod.rs`, or the file of its name) and the files below it are one thing
//! here: the folder declares what its files share.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Keep, crate_paths, parts};
use super::{Text, files};

/// The roots of the crates.
const ROOTS: [&str; 3] = ["src", "crates/hubspot-sandbox/src", "crates/pg-cluster/src"];

#[test]
fn no_files_import_each_other_in_a_circle() {
    let files = files();
    let mut found = Vec::new();
    for root in ROOTS {
        let texts = files.iter().filter_map(|file| Some((module(root, file)?, file.text.as_str())));
        found.extend(circles(&texts.collect()));
    }
    assert!(found.is_empty(), "files need each other:\n{}", found.join("\n"));
}

/// The path of a file's module below `root`: `queue::delivery` of `src/queue/delivery/mod.rs`.
fn module(root: &str, file: &Text) -> Option<String> {
    let path = file.path.strip_prefix(root)?.strip_prefix('/')?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    (!matches!(path, "lib" | "main")).then(|| path.replace('/', "::"))
}

/// The circles among modules, given with their texts.
fn circles(modules: &BTreeMap<String, &str>) -> Vec<String> {
    let needs: BTreeMap<&str, BTreeSet<&str>> =
        modules.iter().map(|(name, text)| (name.as_str(), needed(name, text, modules))).collect();
    let mut found = Vec::new();
    for name in needs.keys() {
        if let Some(way) = way_back(name, &needs)
            && way.iter().min() == Some(name)
        {
            found.push(way.join(" -> "));
        }
    }
    found
}

/// The modules that a text names, without those that it lies in and those that lie in it.
fn needed<'a>(name: &str, text: &str, modules: &'a BTreeMap<String, &str>) -> BTreeSet<&'a str> {
    let code = parts(text, Keep::Code);
    let code = code.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code = absolute(name, code);
    let mut needed = BTreeSet::new();
    for (_, path) in crate_paths(&code) {
        let mut path = path.as_str();
        let known = loop {
            if let Some((known, _)) = modules.get_key_value(path) {
                break Some(known.as_str());
            }
            match path.rsplit_once("::") {
                Some((shorter, _)) => path = shorter,
                None => break None,
            }
        };
        needed.extend(known.filter(|known| !within(known, name) && !within(name, known)));
    }
    needed
}

/// Whether `inner` is `outer` or lies in it.
fn within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with("::"))
}

/// The code with paths that start at the crate instead of at a parent module.
fn absolute(name: &str, code: &str) -> String {
    let mut code = code.to_owned();
    for levels in (1..=4).rev() {
        let parents: Vec<&str> = name.split("::").collect();
        let parent = parents[..parents.len().saturating_sub(levels)].join("::");
        let start =
            if parent.is_empty() { "crate::".to_owned() } else { format!("crate::{parent}::") };
        code = code.replace(&"super::".repeat(levels), &start);
    }
    code
}

/// The shortest way from a module back to itself.
fn way_back<'a>(
    name: &'a str,
    needs: &BTreeMap<&'a str, BTreeSet<&'a str>>,
) -> Option<Vec<&'a str>> {
    let mut ways: Vec<Vec<&str>> = vec![vec![name]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for next in &needs[way[way.len() - 1]] {
                if *next == name {
                    return Some(way);
                }
                if seen.insert(*next) {
                    longer.push([way.as_slice(), &[*next]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

#[test]
fn a_circle_is_found_and_a_folder_with_its_files_is_none() {
    let text = |pairs: &[(&str, &'static str)]| -> BTreeMap<String, &str> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), *text)).collect()
    };
    let circle = text(&[
        ("a::one", "use crate::a::two::Two;"),
        ("a::two", "use super::super::b::{self, Three};"),
        ("b", "fn f() { crate::a::one::g(); }"),
    ]);
    assert_eq!(circles(&circle), ["a::one -> a::two -> b"]);
    let folder = text(&[
        ("a", "mod one;\nuse crate::a::one::One;"),
        ("a::one", "use super::Shared;\n// use crate::a::two::X;\n"),
        ("a::two", "use crate::a::one::One;"),
    ]);
    assert_eq!(circles(&folder), [""; 0]);
}
