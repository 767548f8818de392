//! The audit page: who did what.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::{Paging, Place, some};
use crate::http::dashboard::layout::page::{Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::When;
use crate::operator::lists::AuditQuery;
use crate::operator::views::AuditLine;

const LINES: i64 = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Filters {
    action: String,
    actor: String,
}

struct Line {
    at: When,
    actor: String,
    action: String,
    target: String,
    details: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    page: Page,
    action: String,
    actor: String,
    lines: Vec<Line>,
    paging: Paging,
}

/// `GET /admin/audit`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(filters): Query<Filters>,
    Query(place): Query<Place>,
) -> Result<Response, Failure> {
    let query = AuditQuery { action: some(&filters.action), actor: some(&filters.actor) };
    let role = visitor.session.actor.role;
    let listing = state.operator.audit(query, &place.page(LINES), role).await?;
    let fields = [("action", filters.action.as_str()), ("actor", filters.actor.as_str())];
    let paging = Paging::of(&listing, "/admin/audit", &fields, &place);
    let line = |line: AuditLine| Line {
        at: visitor.full(line.at),
        actor: line.actor,
        action: line.action,
        target: line.target.unwrap_or_default(),
        details: line.details.as_ref().map(details_text).unwrap_or_default(),
    };
    Ok(page(&AuditPage {
        page: Page::new(&visitor, Section::Audit, "Audit"),
        lines: listing.items.into_iter().map(line).collect(),
        action: filters.action,
        actor: filters.actor,
        paging,
    }))
}

/// Returns the details as `key: value`, without empty ones.
fn details_text(details: &Value) -> String {
    let Some(map) = details.as_object() else { return details.to_string() };
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => format!("({})", details_text(value)),
        other => other.to_string(),
    };
    let there = |value: &&Value| {
        !value.is_null()
            && value.as_object().is_none_or(|o| !details_text(&Value::Object(o.clone())).is_empty())
    };
    let parts = map.iter().filter(|(_, value)| there(value));
    let parts: Vec<String> = parts.map(|(key, value)| format!("{key}: {}", text(value))).collect();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn details_are_shown_without_what_is_not_there() {
        let details = json!({ "rows": 3, "filter": { "ids": [1, 2], "since": null, "error_code": "X" }, "reason": null });
        assert_eq!(details_text(&details), "filter: (error_code: X, ids: [1,2]), rows: 3");
        assert_eq!(details_text(&json!({ "filter": { "since": null } })), "");
    }
}
