//! The queue page: a list of rows with filters, search, pages and selection.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::Failure;
use super::forms::{Paging, Place, QueueForm};
use super::lines::{RowLine, kinds};
use super::page::{Notice, Page, Section, Visitor, html};
use super::when::thousands;
use crate::http::AppState;
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Listing;

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
pub(super) struct Done {
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
            "retried" => format!("{rows} retried. They go out as soon as their turn comes."),
            "discarded" => format!("{rows} discarded. They are not counted or retried any more."),
            _ => return None,
        };
        Some(Notice { tone: "good", text })
    }
}

/// Returns a count that stopped at `most`, as text.
pub(super) fn counted(count: i64, most: i64) -> String {
    match count {
        1 => "1 row".into(),
        n if n > most => format!("more than {} rows", thousands(most)),
        n => format!("{} rows", thousands(n)),
    }
}

/// `GET /admin/queue`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(form): Query<QueueForm>,
    Query(place): Query<Place>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let asked = form.filter().and_then(|filter| Ok((filter, place.page(LINES)?)));
    let mut page = QueuePage {
        page: Page::new(&visitor, Section::Queue, "Queue").with(done.notice()),
        fault: None,
        statuses: statuses(&form),
        kinds: kinds(&state, &form.sync_type),
        event_types: state.mapping.event_types(),
        rows: Vec::new(),
        count: String::new(),
        failed: 0,
        failed_text: String::new(),
        paging: Paging::default(),
        form,
    };
    let (filter, part) = match asked {
        Ok(asked) => asked,
        Err(fault) => {
            page.fault = Some(fault);
            return Ok(html(StatusCode::BAD_REQUEST, &page));
        }
    };
    let rows: Listing<_> = state.queue.rows(&filter, &part).await?;
    page.paging = Paging::of(&rows, "/admin/queue", &page.form.kept(), &place);
    page.rows = rows.items.iter().map(|row| RowLine::of(row, &visitor, &state)).collect();
    let count = state.queue.count_rows(&filter, MOST + 1).await?;
    page.count = counted(count, MOST);
    page.count.push_str(match (page.form.is_empty(), count) {
        (true, _) => " in all",
        (false, 1) => " matches",
        (false, _) => " match",
    });
    if page.page.operates() {
        page.failed = match filter.status {
            Some(Status::Failed) => count,
            Some(_) => 0,
            None => {
                let failed = RowFilter { status: Some(Status::Failed), ..filter };
                state.queue.count_rows(&failed, MOST + 1).await?
            }
        };
        page.failed_text = match page.failed {
            n if n > MOST => format!("more than {}", thousands(MOST)),
            n => thousands(n),
        };
    }
    Ok(super::page::page(&page))
}

fn statuses(form: &QueueForm) -> Vec<(&'static str, String, bool)> {
    let all = ("all", form.href_with("status", ""), form.status.is_empty());
    let one = |status: Status| {
        let word = status.as_str();
        (word, form.href_with("status", word), form.status == word)
    };
    std::iter::once(all).chain(Status::ALL.into_iter().map(one)).collect()
}
