//! The settings page: shows, changes and resets the settings that can change while the service
//! runs.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::failure::Failure;
use super::forms::options;
use super::page::{Notice, Page, Section, Visitor, html};
use super::when::When;
use crate::access::Role;
use crate::http::AppState;
use crate::settings::{Entry, Kind, Refused, Source};

struct Setting {
    key: &'static str,
    description: &'static str,
    /// The unit and the allowed values.
    note: String,
    value: String,
    /// The value when the form was made. Only values that differ from it are stored.
    was: String,
    choices: Vec<(String, bool)>,
    /// Whether the field has several lines.
    lines: bool,
    source: &'static str,
    stored: bool,
    changed: Option<(String, When)>,
    fault: Option<String>,
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    page: Page,
    fault: Option<String>,
    settings: Vec<Setting>,
}

/// The result of an action, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Done {
    done: String,
}

/// The submitted values and what is wrong with them, by key.
#[derive(Default)]
struct Given {
    texts: BTreeMap<String, String>,
    faults: BTreeMap<String, String>,
}

/// `GET /admin/settings`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    // Another process may have stored a setting a moment ago.
    let text = "Saved. The settings are in force.";
    let notice = (done.done == "saved").then(|| Notice { tone: "good", text: text.into() });
    Ok(whole(StatusCode::OK, &state, &visitor, &Given::default(), notice))
}

/// `POST /admin/settings`: stores the changed settings, all or none.
pub(super) async fn change(
    State(state): State<AppState>,
    visitor: Visitor,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Failure> {
    visitor.must(Role::Admin)?;
    let runtime = state.settings.now();
    let field = |name: &str| {
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.replace("\r\n", "\n"))
    };
    let mut changes: BTreeMap<String, Option<Value>> = BTreeMap::new();
    let mut given = Given::default();
    if let Some(key) = field("reset") {
        changes.insert(key, None);
    } else {
        for entry in &runtime.entries {
            let key = entry.spec.key;
            let Some(text) = field(key) else { continue };
            if field(&format!("was.{key}")).is_some_and(|was| was != text) {
                changes.insert(key.to_owned(), Some(parsed(entry.spec.kind, &text)));
            }
            given.texts.insert(key.to_owned(), text);
        }
    }
    match state.settings.change(&changes, visitor.name()).await {
        Ok(()) => Ok(Redirect::to("/admin/settings?done=saved").into_response()),
        Err(Refused::Queue(error)) => Err(error.into()),
        Err(Refused::Invalid(wrong)) => {
            for (key, wrong) in wrong {
                let detail = match wrong.member {
                    Some(member) => format!("{member}: {}", wrong.detail),
                    None => wrong.detail,
                };
                let told = given.faults.entry(key).or_default();
                told.push_str(if told.is_empty() { "" } else { "; " });
                told.push_str(&detail);
            }
            Ok(whole(StatusCode::UNPROCESSABLE_ENTITY, &state, &visitor, &given, None))
        }
    }
}

fn whole(
    status: StatusCode,
    state: &AppState,
    visitor: &Visitor,
    given: &Given,
    notice: Option<Notice>,
) -> Response {
    let runtime = state.settings.now();
    let settings = runtime.entries.iter().map(|entry| setting(entry, given, visitor)).collect();
    let fault =
        (!given.faults.is_empty()).then(|| "Nothing was saved. Fix the highlighted fields.".into());
    let page = Page::new(visitor, Section::Settings, "Settings").with(notice);
    html(status, &SettingsPage { page, fault, settings })
}

fn setting(entry: &Entry, given: &Given, visitor: &Visitor) -> Setting {
    let spec = entry.spec;
    let was = text(&entry.value);
    let value = given.texts.get(spec.key).cloned().unwrap_or_else(|| was.clone());
    let choices = match spec.kind {
        Kind::Flag => options(["true", "false"], &value),
        Kind::Choice(words) => options(words.iter().copied(), &value),
        _ => Vec::new(),
    };
    let mut note: Vec<String> = spec.unit.map(str::to_owned).into_iter().collect();
    if let Some((least, most)) = &entry.range {
        note.push(format!("{least} to {most}"));
    }
    if spec.kind == Kind::Priorities {
        note.push("a line each: an event type or entity.* = high, normal or low".into());
    }
    note.push(format!("default {}", some_text(&entry.default)));
    Setting {
        key: spec.key,
        description: spec.description,
        note: note.join(", "),
        choices,
        lines: spec.kind == Kind::Priorities,
        value,
        was,
        source: match entry.source {
            Source::Default => "default",
            Source::File => "file",
            Source::Environment => "environment",
            Source::Stored => "stored here",
        },
        // A stored value can be removed even if it is not in force.
        stored: entry.changed_at.is_some(),
        changed: entry.changed_by.clone().zip(entry.changed_at.map(|at| visitor.when(at))),
        fault: given.faults.get(spec.key).cloned().or_else(|| {
            entry.ignored.as_ref().map(|why| format!("the stored value is ignored: {why}"))
        }),
    }
}

/// Returns a value as its form field shows it.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(map) => {
            let line = |(key, value): (&String, &Value)| format!("{key} = {}", text(value));
            map.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
}

fn some_text(value: &Value) -> String {
    Some(text(value)).filter(|text| !text.is_empty()).unwrap_or_else(|| "none".into())
}

/// Parses the text of a field. A text that cannot be parsed stays text, and the checks explain what
/// is allowed.
fn parsed(kind: Kind, text: &str) -> Value {
    let text = text.trim();
    let as_text = || Value::String(text.to_owned());
    match kind {
        Kind::Flag => text.parse::<bool>().map_or_else(|_| as_text(), Value::Bool),
        Kind::Whole(..) | Kind::Timeout => {
            text.parse::<i64>().map_or_else(|_| as_text(), Value::from)
        }
        Kind::Number(..) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(whole), _) => Value::from(whole),
            (_, Ok(number)) if number.is_finite() => Value::from(number),
            _ => as_text(),
        },
        Kind::Choice(_) => as_text(),
        Kind::Priorities => {
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let pairs = lines.map(|line| line.split_once('=').unwrap_or((line, "")));
            let map: Map<String, Value> =
                pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().into())).collect();
            Value::Object(map)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_field_means_what_it_shows() {
        let table = [
            (Kind::Flag, json!(true)),
            (Kind::Choice(&["ask", "erase"]), json!("ask")),
            (Kind::Whole(0, 9), json!(7)),
            (Kind::Timeout, json!(10)),
            (Kind::Number(0.0, 9.0), json!(2.5)),
            (Kind::Priorities, json!({ "user.*": "high", "dispute.opened": "low" })),
        ];
        for (kind, value) in table {
            assert_eq!(parsed(kind, &text(&value)), value);
        }
        assert_eq!(parsed(Kind::Whole(0, 9), "seven"), json!("seven"));
        assert_eq!(parsed(Kind::Priorities, ""), json!({}));
    }
}
