//! Prints one line of the log.

use serde_json::Value;

use crate::cli::{out, text};

/// Prints one line. `false`: the output is closed.
pub(super) fn print(item: &Value, as_json: bool) -> bool {
    let line = if as_json { item.to_string() } else { line(item) };
    out::print(format_args!("{line}\n"))
}

pub(super) fn line(item: &Value) -> String {
    let word = |key: &str| match &item[key] {
        Value::Null => String::new(),
        Value::String(word) => text::plain(word, 200),
        other => other.to_string(),
    };
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    let at = word("at");
    let at = at.get(..23).unwrap_or(&at);
    let mut line = format!(
        "{at:<23} {:<7} {:>4} {:<9} {}",
        word("kind"),
        or(word("http_status"), "–"),
        word("sync_type"),
        or(word("purpose"), &word("code")),
    );
    for (key, before, after) in [
        ("inputs", "", if item["inputs"] == 1 { " input" } else { " inputs" }),
        ("duration_ms", "", " ms"),
        ("class", "", ""),
        ("row_id", "row ", ""),
    ] {
        let value = word(key);
        if !value.is_empty() {
            line.push_str(&format!("  {before}{value}{after}"));
        }
    }
    let (code, message) = (word("code"), word("message"));
    if !code.is_empty() || !message.is_empty() {
        line.push_str(&format!("  {code}: {message}"));
    }
    line
}
