//! Forms and filters as browsers send them: all text, and empty if nothing was chosen.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{Method, header};
use axum_extra::extract::Form;
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::link::link;
use crate::event::Priority;
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::{Listing, Page};

/// The longest search, in bytes.
const LONGEST_SEARCH: usize = 400;

/// Stands for rows whose error names no property.
pub(super) const NO_PROPERTY: &str = "(none)";

/// Parses the fields of a form. One body can be parsed as several types.
pub(super) async fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T, Failure> {
    let request = Request::builder()
        .method(Method::POST)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Body::from(body.clone()))
        .map_err(|_| Failure::internal())?;
    let form = Form::<T>::from_request(request, &()).await;
    form.map(|Form(fields)| fields)
        .map_err(|error| Failure::invalid(format!("The form cannot be read: {error}")))
}

/// Returns a text that is not empty.
pub(super) fn some(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// Parses an instant: RFC 3339, or the value of a `datetime-local` field, in UTC.
pub(super) fn instant(text: &str) -> Result<Option<DateTime<Utc>>, String> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Some(at.to_utc()));
    }
    let naive = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    match naive {
        Some(naive) => Ok(Some(naive.and_utc())),
        None => Err(format!("`{text}` is no date and time: write it like 2026-11-20T10:00")),
    }
}

/// Returns `words` and marks the selected one.
pub(super) fn options<'a>(
    words: impl IntoIterator<Item = &'a str>,
    chosen: &str,
) -> Vec<(String, bool)> {
    words.into_iter().map(|word| (word.to_owned(), word == chosen)).collect()
}

/// The filters of the queue.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueueForm {
    pub(super) q: String,
    pub(super) status: String,
    pub(super) sync_type: String,
    pub(super) event_type: String,
    pub(super) external_id: String,
    pub(super) error_code: String,
    pub(super) error_property: String,
    pub(super) priority: String,
    pub(super) since: String,
    pub(super) until: String,
    /// When a person retried or discarded the rows, to the microsecond.
    pub(super) acted_at: String,
}

impl QueueForm {
    /// Returns the filters that are set.
    pub(super) fn kept(&self) -> Vec<(&'static str, &str)> {
        let all = [
            ("q", &self.q),
            ("status", &self.status),
            ("sync_type", &self.sync_type),
            ("event_type", &self.event_type),
            ("external_id", &self.external_id),
            ("error_code", &self.error_code),
            ("error_property", &self.error_property),
            ("priority", &self.priority),
            ("since", &self.since),
            ("until", &self.until),
            ("acted_at", &self.acted_at),
        ];
        let set = all.into_iter().filter(|(_, value)| !value.trim().is_empty());
        set.map(|(name, value)| (name, value.as_str())).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept().is_empty()
    }

    /// Whether a filter is set that is not always visible.
    pub(super) fn has_more(&self) -> bool {
        self.kept().iter().any(|(name, _)| !matches!(*name, "q" | "status" | "sync_type"))
    }

    /// Returns the link to the list with these filters.
    pub(super) fn href(&self) -> String {
        link("/admin/queue", self.kept())
    }

    /// Returns the link to the list with one filter changed.
    pub(super) fn href_with(&self, name: &str, value: &str) -> String {
        let others = self.kept().into_iter().filter(|(key, _)| *key != name);
        link("/admin/queue", others.chain([(name, value)]))
    }

    pub(super) fn statuses(&self) -> Vec<(String, bool)> {
        options(Status::ALL.map(Status::as_str), &self.status)
    }

    pub(super) fn priorities(&self) -> Vec<(String, bool)> {
        options(["high", "normal", "low"], &self.priority)
    }

    /// Returns the filter, or what is wrong with it.
    pub(super) fn filter(&self) -> Result<RowFilter, String> {
        if self.q.len() > LONGEST_SEARCH {
            return Err(format!("search: use at most {LONGEST_SEARCH} characters"));
        }
        let status = some(&self.status).map(|s| s.parse::<Status>()).transpose();
        let priority = some(&self.priority).map(|p| p.parse::<Priority>()).transpose();
        Ok(RowFilter {
            status: status.map_err(|fault| format!("status: {fault}"))?,
            sync_type: some(&self.sync_type),
            event_type: some(&self.event_type),
            external_id: some(&self.external_id),
            error_code: some(&self.error_code),
            error_property: some(&self.error_property).map(|name| match name.as_str() {
                NO_PROPERTY => String::new(),
                _ => name,
            }),
            priority: priority.map_err(|_| "priority: use high, normal or low")?,
            since: instant(&self.since).map_err(|fault| format!("since: {fault}"))?,
            until: instant(&self.until).map_err(|fault| format!("until: {fault}"))?,
            acted_at: instant(&self.acted_at).map_err(|fault| format!("acted_at: {fault}"))?,
            ids: None,
            retryable: false,
            search: some(&self.q),
        })
    }
}

/// A position in a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Place {
    pub(super) cursor: String,
}

impl Place {
    /// Returns the part of the list with at most `limit` lines.
    pub(super) fn page(&self, limit: i64) -> Result<Page, String> {
        if self.cursor.is_empty() {
            return Ok(Page::newest(limit));
        }
        let cursor =
            self.cursor.parse().map_err(|_| "cursor: this page is not known".to_owned())?;
        Ok(Page { limit, cursor: Some(cursor) })
    }
}

/// The links to the next and previous page of a list.
#[derive(Debug, Clone, Default)]
pub(super) struct Paging {
    pub(super) newer: Option<String>,
    pub(super) older: Option<String>,
    pub(super) first: String,
    pub(super) newest: bool,
    pub(super) shown: String,
}

impl Paging {
    /// Returns the links for `listing`, the page at `place` of the list at `path` with the filters
    /// `kept`.
    pub(super) fn of<T>(
        listing: &Listing<T>,
        path: &str,
        kept: &[(&str, &str)],
        place: &Place,
    ) -> Self {
        let to = |cursor: &str| link(path, kept.iter().copied().chain([("cursor", cursor)]));
        Self {
            newer: listing.prev.as_deref().map(to),
            older: listing.next.as_deref().map(to),
            first: to(""),
            newest: place.cursor.is_empty(),
            shown: match listing.items.len() {
                0 => String::new(),
                1 => "1 shown".into(),
                n => format!("{n} shown"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_read_as_browsers_write_them() {
        let ten: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().unwrap();
        for text in ["2026-11-20T10:00", "2026-11-20T10:00:00", "2026-11-20T11:00:00+01:00"] {
            assert_eq!(instant(text), Ok(Some(ten)), "{text}");
        }
        assert_eq!(instant(" "), Ok(None));
        assert!(instant("yesterday").is_err());
    }

    #[test]
    fn a_filter_survives_its_address() {
        let form = QueueForm { q: "a&b".into(), status: "failed".into(), ..QueueForm::default() };
        assert_eq!(form.href(), "/admin/queue?q=a%26b&status=failed");
        assert_eq!(form.href_with("status", ""), "/admin/queue?q=a%26b");
        assert_eq!(form.filter().unwrap().status, Some(Status::Failed));
        let wrong = QueueForm { status: "done".into(), ..QueueForm::default() };
        assert!(wrong.filter().unwrap_err().starts_with("status:"));
    }
}
