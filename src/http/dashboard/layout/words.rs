//! Coloured words, and placeholders for hidden values.

use std::fmt;

use serde_json::Value;

/// A word on a coloured background.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct Badge {
    tone: &'static str,
    text: String,
}

impl Badge {
    pub(in crate::http::dashboard) fn new(tone: &'static str, text: impl Into<String>) -> Self {
        Self { tone, text: text.into() }
    }

    /// Returns the badge for the status of a row.
    pub(in crate::http::dashboard) fn status(status: &str, discarded: bool) -> Self {
        if discarded {
            return Self::new("", "discarded");
        }
        let tone = match status {
            "processing" => "info",
            "synced" => "good",
            "retry" => "warn",
            "failed" => "bad",
            _ => "",
        };
        Self::new(tone, status)
    }

    /// Returns the badge for the state of an association.
    pub(in crate::http::dashboard) fn association(state: &str) -> Self {
        let tone = match state {
            "made" => "good",
            "due" => "info",
            "parked" => "warn",
            "refused" => "bad",
            _ => "",
        };
        Self::new(tone, state)
    }

    /// Returns the badge for the class of a call or an attempt.
    pub(in crate::http::dashboard) fn class(class: &str) -> Self {
        let tone = match class {
            "ok" | "success" | "synced" => "good",
            "transient" | "throttled" => "warn",
            "rejected" | "misconfigured" => "bad",
            _ => "",
        };
        Self::new(tone, class)
    }
}

// The text is escaped when it is written.
impl askama::filters::HtmlSafe for Badge {}

impl fmt::Display for Badge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = askama::filters::escape(&self.text, askama::filters::Html);
        let text = text.map_err(|_| fmt::Error)?;
        match self.tone {
            "" => write!(f, "<span class=\"badge\">{text}</span>"),
            tone => write!(f, "<span class=\"badge {tone}\">{text}</span>"),
        }
    }
}

/// Returns the name of a priority.
pub(in crate::http::dashboard) fn priority(number: i16) -> &'static str {
    match number {
        0 => "high",
        1 => "normal",
        _ => "low",
    }
}

/// Returns the placeholder for a hidden text.
pub(in crate::http::dashboard) fn masked(text: &str) -> String {
    match text.chars().count() {
        0 => "empty".into(),
        1 => "hidden, 1 character".into(),
        n => format!("hidden, {n} characters"),
    }
}

/// Returns the same JSON with its keys and shape, but without its values.
pub(in crate::http::dashboard) fn veiled(value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        Value::Bool(_) => "hidden, true or false".into(),
        Value::Number(_) => "hidden, a number".into(),
        Value::String(text) => masked(text).into(),
        Value::Array(items) => items.iter().map(veiled).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), veiled(value))).collect(),
    }
}

/// Returns the text with a full stop at its end.
pub(in crate::http::dashboard) fn sentence_end(text: &str) -> String {
    let stop = if text.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{text}{stop}")
}

/// Returns the text with a capital letter at its start and a full stop at its end.
pub(in crate::http::dashboard) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    sentence_end(&format!("{}{}", first.to_uppercase(), chars.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn veiled_data_keeps_its_keys_and_no_value() {
        let data = json!({ "email": "marie@company.fr", "n": 42, "ok": true, "no": null,
            "list": ["x", { "deep": "secret" }] });
        let veiled = veiled(&data);
        assert_eq!(veiled["email"], "hidden, 16 characters");
        assert_eq!(veiled["no"], Value::Null);
        let text = veiled.to_string();
        assert!(!text.contains("marie") && !text.contains("42") && !text.contains("secret"));
        assert!(text.contains("deep"));
    }

    #[test]
    fn a_badge_escapes_its_word() {
        let badge = Badge::status("<script>", false).to_string();
        assert_eq!(badge, "<span class=\"badge\">&#60;script&#62;</span>");
        assert!(Badge::status("failed", true).to_string().contains("discarded"));
    }
}
