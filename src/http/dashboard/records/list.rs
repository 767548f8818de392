//! The records page.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use crate::http::AppState;
use crate::http::dashboard::layout::failure::Failure;
use crate::http::dashboard::layout::forms::{Paging, Place, options, some};
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::{Page, Section, Visitor, html};
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::layout::words::Badge;
use crate::http::dashboard::rows::line::kinds;
use crate::operator::OperatorError;
use crate::operator::lists::RecordQuery;
use crate::operator::views::{RecordState, RecordView};

const LINES: i64 = 50;

/// The filters of the list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::http::dashboard) struct RecordsForm {
    q: String,
    sync_type: String,
    state: String,
}

impl RecordsForm {
    fn set_fields(&self) -> [(&'static str, &str); 3] {
        [("q", &self.q), ("sync_type", &self.sync_type), ("state", &self.state)]
    }

    fn query(&self) -> RecordQuery {
        RecordQuery {
            sync_type: some(&self.sync_type),
            state: some(&self.state),
            search: some(&self.q),
        }
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
pub(in crate::http::dashboard) fn state_of(record: &RecordView) -> Badge {
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
pub(in crate::http::dashboard) fn in_hubspot(
    state: &AppState,
    portal: Option<i64>,
    record: &RecordView,
) -> Option<(String, Option<String>)> {
    let id = record.hubspot_id.clone()?;
    let object = state.operator.mapping().object(&record.sync_type);
    let href = portal.zip(object).map(|(portal, o)| link::hubspot(portal, &o.type_id, &id));
    Some((id, href))
}

/// `GET /admin/records`.
pub(in crate::http::dashboard) async fn show(
    State(state): State<AppState>,
    visitor: Visitor,
    Query(form): Query<RecordsForm>,
    Query(place): Query<Place>,
) -> Result<Response, Failure> {
    let asked = (form.query(), place.page(LINES));
    let mut page = RecordsPage {
        page: Page::new(&visitor, Section::Records, "Records"),
        fault: None,
        kinds: kinds(&state, &form.sync_type),
        states: options(RecordState::ALL.map(RecordState::as_str), &form.state),
        records: Vec::new(),
        paging: Paging::default(),
        form,
    };
    let records = match state.operator.records(asked.0, &asked.1).await {
        Ok(records) => records,
        Err(OperatorError::Filter(fault)) => {
            page.fault = Some(fault);
            return Ok(html(StatusCode::BAD_REQUEST, &page));
        }
        Err(error) => return Err(error.into()),
    };
    let portal = state.operator.portal_id().await?;
    page.paging = Paging::of(&records, "/admin/records", &page.form.set_fields(), &place);
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
    Ok(crate::http::dashboard::layout::page::page(&page))
}
