//! A queue row as lists show it.

use super::link;
use super::page::Visitor;
use super::when::When;
use super::words::Badge;
use crate::http::AppState;
use crate::queue::views::list::RowView;

/// One line of a list of rows.
#[derive(Debug, Clone)]
pub(super) struct RowLine {
    pub(super) id: i64,
    pub(super) href: String,
    pub(super) record_href: String,
    pub(super) sync_type: String,
    pub(super) external_id: String,
    pub(super) event_type: String,
    pub(super) status: Badge,
    pub(super) high: bool,
    /// Whether a person discarded it and may restore it.
    pub(super) discarded: bool,
    /// Whether a person may retry or discard it.
    pub(super) failed: bool,
    /// How many of the automatic retries were used.
    pub(super) retries: String,
    pub(super) accepted: When,
    /// When the row was done, or else when it is due.
    pub(super) at: Option<When>,
    pub(super) code: Option<String>,
    /// The property at fault.
    pub(super) property: Option<String>,
    pub(super) why: Option<String>,
}

impl RowLine {
    pub(super) fn of(row: &RowView, visitor: &Visitor, state: &AppState) -> Self {
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
            retries: format!("{} of {}", row.retry_count, state.quota().max_retries),
            accepted: visitor.when(row.created_at),
            at: row.processed_at.or(row.scheduled_at).map(|at| visitor.when(at)),
            code,
            property: row.error_property.clone(),
            why: why.filter(|_| row.status != "synced"),
        }
    }
}

/// Returns the object kinds and marks the selected one.
pub(super) fn kinds(state: &AppState, chosen: &str) -> Vec<(String, bool)> {
    let kinds = state.mapping.objects().iter();
    kinds.map(|kind| (kind.sync_type.clone(), kind.sync_type == chosen)).collect()
}
