//! Handlers of the admin API and of the dashboard call `operator`, so that each verb exists once.

use super::source::{Keep, crate_paths, line_of, parts};
use super::{Fault, no_faults};

#[test]
fn handlers_of_the_api_and_the_pages_call_operator_and_nothing_below_it() {
    no_faults(|file| {
        let handler = ["src/http/admin/", "src/http/dashboard/"];
        let handler = handler.iter().any(|folder| file.path.starts_with(folder));
        if handler { past_operator(&file.text) } else { vec![] }
    });
}

#[test]
fn an_import_that_goes_past_operator_is_reported() {
    let text = "//! No `crate::queue`.\nuse crate::access::{Access, Role};\nuse crate::queue::Queue;\n\
                use crate::operator::views::RowView;\n";
    let lines: Vec<usize> = past_operator(text).into_iter().map(|(line, _)| line).collect();
    assert_eq!(lines, [2, 3]);
}

/// Every import of a handler that goes past `operator`. Keys and sessions are checked by `http`.
fn past_operator(text: &str) -> Vec<Fault> {
    const SIGNED_IN: [&str; 4] = ["Actor", "Role", "Session", "SignIn"];
    let code = parts(text, Keep::Code);
    let below = |path: &str| match path.split_once("::").unwrap_or((path, "")) {
        ("access", name) => !SIGNED_IN.contains(&name),
        (module, _) => ["engine", "settings", "queue", "hubspot"].contains(&module),
    };
    let paths = crate_paths(&code).into_iter().filter(|(_, path)| below(path));
    paths
        .map(|(at, path)| (line_of(&code, at), format!("imports `{path}`: ask `operator` for it")))
        .collect()
}
