//! The errors page: failed rows, grouped by error.

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::NO_PROPERTY;
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::{Page, Section, Visitor, page};
use crate::http::dashboard::layout::when::{When, thousands};
use crate::operator::views::ErrorGroup;

/// The most groups on the page, more than anybody works on at once.
const MOST: usize = 100;

/// Rows that failed with the same error.
pub(in crate::http::dashboard) struct Group {
    pub(in crate::http::dashboard) code: String,
    pub(in crate::http::dashboard) property: Option<String>,
    pub(in crate::http::dashboard) sync_type: String,
    pub(in crate::http::dashboard) rows: String,
    /// `1 row`, `12 rows`.
    pub(in crate::http::dashboard) rows_text: String,
    pub(in crate::http::dashboard) records_text: String,
    pub(in crate::http::dashboard) first: When,
    pub(in crate::http::dashboard) last: When,
    pub(in crate::http::dashboard) message: Option<String>,
    pub(in crate::http::dashboard) hint: Option<String>,
    pub(in crate::http::dashboard) samples: Vec<(i64, String)>,
    /// The link to the list of these rows.
    pub(in crate::http::dashboard) href: String,
    /// The filter that selects these rows.
    pub(in crate::http::dashboard) filter: Vec<(&'static str, String)>,
}

impl Group {
    pub(in crate::http::dashboard) fn of(group: ErrorGroup, visitor: &Visitor) -> Self {
        let property = group.property.clone().filter(|name| !name.is_empty());
        let filter = vec![
            ("status", "failed".to_owned()),
            ("sync_type", group.sync_type.clone()),
            ("error_code", group.code.clone()),
            ("error_property", property.clone().unwrap_or_else(|| NO_PROPERTY.into())),
        ];
        let pairs = filter.iter().map(|(key, value)| (*key, value.as_str()));
        Self {
            href: link::link("/admin/queue", pairs),
            filter,
            code: group.code,
            property,
            sync_type: group.sync_type,
            rows: thousands(group.rows),
            rows_text: counted(group.rows, "row"),
            records_text: counted(group.records, "record"),
            first: visitor.full(group.first_at),
            last: visitor.full(group.last_at),
            message: group.message,
            hint: group.hint,
            samples: vec![(group.newest_id, link::row(group.newest_id))],
        }
    }
}

fn counted(count: i64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        n => format!("{} {what}s", thousands(n)),
    }
}

#[derive(Template)]
#[template(path = "errors.html")]
struct ErrorsPage {
    page: Page,
    groups: Vec<Group>,
}

/// `GET /admin/errors`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
) -> Result<Response, Failure> {
    let groups = state.operator.recent_errors().await?;
    let groups =
        groups.iter().take(MOST).cloned().map(|group| Group::of(group, &visitor)).collect();
    Ok(page(&ErrorsPage { page: Page::new(&visitor, Section::Errors, "Errors"), groups }))
}
