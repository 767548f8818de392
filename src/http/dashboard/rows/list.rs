//! The queue page: a list of rows with filters, search, pages and selection.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::{Paging, Place, QueueForm};
use crate::http::dashboard::layout::page::{Notice, Page, Section, Visitor, html};
use crate::http::dashboard::layout::when::thousands;
use crate::http::dashboard::rows::line::{RowLine, kinds};
use crate::operator::OperatorError;
use crate::operator::lists::CountedRows;
use crate::operator::rows::Verb;
use crate::operator::views::Status;

/// The number of lines on a page.
const LINES: i64 = 50;
/// Counting stops here because it takes time. Above it, the page says "more than".
const MOST: i64 = 1_000;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    page: Page,
    form: QueueForm,
    fault: Option<String>,
    /// Quick filters by status: label, link, whether it is selected.
    statuses: Vec<(&'static str, String, bool)>,
    kinds: Vec<(String, bool)>,
    event_types: Vec<String>,
    rows: Vec<RowLine>,
    count: String,
    /// How many of the rows a person may retry.
    failed: i64,
    failed_text: String,
    paging: Paging,
}

/// The result of an action on rows, taken from the address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct Done {
    done: String,
    n: Option<u64>,
}

impl Done {
    fn notice(&self) -> Option<Notice> {
        let rows = match self.n? {
            1 => "1 row".to_owned(),
            n => format!("{} rows", thousands(i64::try_from(n).ok()?)),
        };
        let text = match self.done.as_str() {
            "retried" => Verb::Retry.outcome(&rows),
            "discarded" => Verb::Discard.outcome(&rows),
            _ => return None,
        };
        Some(Notice { tone: "good", text })
    }
}

/// Returns a count that stopped at `most`, as text.
pub(in crate::http::dashboard) fn counted(count: i64, most: i64) -> String {
    match count {
        1 => "1 row".into(),
        n if n > most => format!("more than {} rows", thousands(most)),
        n => format!("{} rows", thousands(n)),
    }
}

/// `GET /admin/queue`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(form): Query<QueueForm>,
    Query(place): Query<Place>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let asked = form.query();
    let mut page = QueuePage {
        page: Page::new(&visitor, Section::Queue, "Queue").with(done.notice()),
        fault: None,
        statuses: statuses(&form),
        kinds: kinds(&state, &form.sync_type),
        event_types: state.operator.mapping().event_types(),
        rows: Vec::new(),
        count: String::new(),
        failed: 0,
        failed_text: String::new(),
        paging: Paging::default(),
        form,
    };
    let listed = match asked {
        Ok(query) => state.operator.counted_rows(query, &place.page(LINES), MOST + 1).await,
        Err(fault) => Err(OperatorError::Filter(fault)),
    };
    let CountedRows { rows, count, failed } = match listed {
        Ok(listed) => listed,
        Err(OperatorError::Filter(fault)) => {
            page.fault = Some(fault);
            return Ok(html(StatusCode::BAD_REQUEST, &page));
        }
        Err(error) => return Err(error.into()),
    };
    page.paging = Paging::of(&rows, "/admin/queue", &page.form.set_fields(), &place);
    page.rows = rows.items.iter().map(|row| RowLine::of(row, &visitor, &state)).collect();
    page.count = counted(count, MOST);
    page.count.push_str(match (page.form.is_empty(), count) {
        (true, _) => " in all",
        (false, 1) => " matches",
        (false, _) => " match",
    });
    if page.page.operates() {
        page.failed = failed;
        page.failed_text = match page.failed {
            n if n > MOST => format!("more than {}", thousands(MOST)),
            n => thousands(n),
        };
    }
    Ok(crate::http::dashboard::layout::page::page(&page))
}

fn statuses(form: &QueueForm) -> Vec<(&'static str, String, bool)> {
    let all = ("all", form.href_with("status", ""), form.status.is_empty());
    let one = |status: Status| {
        let word = status.as_str();
        (word, form.href_with("status", word), form.status == word)
    };
    std::iter::once(all).chain(Status::ALL.into_iter().map(one)).collect()
}
