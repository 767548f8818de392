//! The records page.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::Failure;
use super::forms::{Paging, Place, options, some};
use super::lines::kinds;
use super::link;
use super::page::{Page, Section, Visitor, html};
use super::when::When;
use super::words::Badge;
use crate::http::AppState;
use crate::queue::views::records::{RecordFilter, RecordState, RecordView};

const LINES: i64 = 50;

/// The filters of the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct RecordsForm {
    q: String,
    sync_type: String,
    state: String,
}

impl RecordsForm {
    fn kept(&self) -> [(&'static str, &str); 3] {
        [("q", &self.q), ("sync_type", &self.sync_type), ("state", &self.state)]
    }

    fn filter(&self) -> Result<RecordFilter, String> {
        Ok(RecordFilter {
            sync_type: some(&self.sync_type),
            state: some(&self.state).map(|state| state.parse()).transpose()?,
            search: some(&self.q),
        })
    }
}

struct Line {
    href: String,
    external_id: String,
    sync_type: String,
    state: Badge,
    waiting: Option<String>,
    /// The id in HubSpot and, if the account is known, the link to the record there.
    hubspot: Option<(String, Option<String>)>,
    synced: Option<When>,
}

#[derive(Template)]
#[template(path = "records.html")]
struct RecordsPage {
    page: Page,
    form: RecordsForm,
    fault: Option<String>,
    kinds: Vec<(String, bool)>,
    states: Vec<(String, bool)>,
    records: Vec<Line>,
    paging: Paging,
}

/// Returns the state of a record in one word.
pub(super) fn state_of(record: &RecordView) -> Badge {
    if record.erased_at.is_some() {
        Badge::new("", "erased")
    } else if record.merged_into.is_some() {
        Badge::new("", "merged")
    } else if record.deleted_at.is_some() && record.hubspot_id.is_none() {
        Badge::new("", "deleted")
    } else if record.waiting_reason.is_some() {
        Badge::new("warn", "waiting")
    } else if record.uncertain {
        Badge::new("warn", "uncertain")
    } else if record.resyncing {
        Badge::new("info", "resync under way")
    } else if record.hubspot_id.is_some() {
        Badge::new("good", "linked")
    } else {
        Badge::new("info", "unlinked")
    }
}

/// Returns the record's id in HubSpot and the link to it.
pub(super) fn in_hubspot(
    state: &AppState,
    portal: Option<i64>,
    record: &RecordView,
) -> Option<(String, Option<String>)> {
    let id = record.hubspot_id.clone()?;
    let object = state.mapping.object(&record.sync_type);
    let href = portal.zip(object).map(|(portal, o)| link::hubspot(portal, &o.type_id, &id));
    Some((id, href))
}

/// `GET /admin/records`.
pub(super) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(form): Query<RecordsForm>,
    Query(place): Query<Place>,
) -> Result<Response, Failure> {
    let asked = form.filter().and_then(|filter| Ok((filter, place.page(LINES)?)));
    let mut page = RecordsPage {
        page: Page::new(&visitor, Section::Records, "Records"),
        fault: None,
        kinds: kinds(&state, &form.sync_type),
        states: options(RecordState::ALL.map(RecordState::as_str), &form.state),
        records: Vec::new(),
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
    let portal = state.queue.account().await?.hubspot_portal_id;
    let records = state.queue.records(&filter, &part).await?;
    page.paging = Paging::of(&records, "/admin/records", &page.form.kept(), &place);
    let line = |record: &RecordView| Line {
        href: link::record(&record.sync_type, &record.external_id),
        external_id: record.external_id.clone(),
        sync_type: record.sync_type.clone(),
        state: state_of(record),
        waiting: record.waiting_reason.clone(),
        hubspot: in_hubspot(&state, portal, record),
        synced: record.synced_at.map(|at| visitor.when(at)),
    };
    page.records = records.items.iter().map(line).collect();
    Ok(super::page::page(&page))
}
