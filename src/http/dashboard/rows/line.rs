//! A queue row as lists show it.

use crate::http::AppState;
use crate::http::dashboard::layout::link;
use crate::http::dashboard::layout::page::Visitor;
use crate::http::dashboard::layout::when::When;
use crate::http::dashboard::layout::words::Badge;
use crate::operator::views::RowView;

/// One line of a list of rows.
#[derive(Debug, Clone)]
pub(in crate::http::dashboard) struct RowLine {
    pub(in crate::http::dashboard) id: i64,
    pub(in crate::http::dashboard) href: String,
    pub(in crate::http::dashboard) record_href: String,
    pub(in crate::http::dashboard) sync_type: String,
    pub(in crate::http::dashboard) external_id: String,
    pub(in crate::http::dashboard) event_type: String,
    pub(in crate::http::dashboard) status: Badge,
    pub(in crate::http::dashboard) high: bool,
    /// Whether a person discarded it and may restore it.
    pub(in crate::http::dashboard) discarded: bool,
    /// Whether a person may retry or discard it.
    pub(in crate::http::dashboard) failed: bool,
    /// How many of the automatic retries were used.
    pub(in crate::http::dashboard) retries: String,
    pub(in crate::http::dashboard) accepted: When,
    /// When the row was done, or else when it is due.
    pub(in crate::http::dashboard) at: Option<When>,
    pub(in crate::http::dashboard) code: Option<String>,
    /// The property at fault.
    pub(in crate::http::dashboard) property: Option<String>,
    pub(in crate::http::dashboard) why: Option<String>,
}

impl RowLine {
    pub(in crate::http::dashboard) fn of(
        row: &RowView,
        visitor: &Visitor,
        state: &AppState,
    ) -> Self {
        let discarded = row.discarded_at.is_some();
        let code = row.error_code.clone();
        let why = match (&row.error_message, &code) {
            (Some(message), _) => Some(message.clone()),
            (None, Some(_)) => Some(String::new()),
            (None, None) => row.waiting_reason.clone(),
        };
        Self {
            id: row.id,
            href: link::row(row.id),
            record_href: link::record(&row.sync_type, &row.external_id),
            sync_type: row.sync_type.clone(),
            external_id: row.external_id.clone(),
            event_type: row.event_type.clone(),
            status: Badge::status(&row.status, discarded),
            high: row.priority == 0,
            discarded,
            failed: row.status == "failed" && !discarded,
            retries: format!("{} of {}", row.retry_count, state.operator.limits().max_retries),
            accepted: visitor.when(row.created_at),
            at: row.processed_at.or(row.scheduled_at).map(|at| visitor.when(at)),
            code,
            property: row.error_property.clone(),
            why: why.filter(|_| row.status != "synced"),
        }
    }
}

/// Returns the object kinds and marks the selected one.
pub(in crate::http::dashboard) fn kinds(state: &AppState, chosen: &str) -> Vec<(String, bool)> {
    let kinds = state.operator.mapping().objects().iter();
    kinds.map(|kind| (kind.sync_type.clone(), kind.sync_type == chosen)).collect()
}
