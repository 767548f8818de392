//! Lists: rows, records, failed rows in groups, the audit and the log, newest first and in pages.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::Stream;
use serde_json::Value;

use super::bounds::{ERROR_GROUPS, PAGE, USUAL_PAGE, search};
use super::rows::RowQuery;
use super::tail::TailLine;
use super::views::{
    AuditLine, ErrorGroup, Listing, LogCursor, LogLine, PulsePoint, RecordView, Role, RowView,
    Status,
};
use super::{Operator, OperatorError};
use crate::queue::audit::AuditFilter;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::logs::LogFilter;
use crate::queue::views::page::{Cursor, Page};
use crate::queue::views::records::{RecordFilter, RecordState};

/// Which part of a list, in the words of a request.
#[derive(Debug, Clone, Default)]
pub struct PageQuery {
    /// The most entries, 1 to [`PAGE`].
    pub limit: Option<i64>,
    /// A cursor from an earlier answer.
    pub cursor: Option<String>,
}

impl PageQuery {
    fn limit(&self) -> Result<i64, OperatorError> {
        let limit = self.limit.unwrap_or(USUAL_PAGE);
        if (1..=PAGE).contains(&limit) {
            return Ok(limit);
        }
        Err(OperatorError::Filter(format!("limit: must be between 1 and {PAGE}")))
    }

    fn cursor<C: std::str::FromStr<Err: std::fmt::Display>>(
        &self,
    ) -> Result<Option<C>, OperatorError> {
        let cursor = self.cursor.as_deref().map(str::parse::<C>).transpose();
        cursor.map_err(|error| OperatorError::Filter(format!("cursor: {error}")))
    }

    fn page(&self) -> Result<Page, OperatorError> {
        Ok(Page { limit: self.limit()?, cursor: self.cursor::<Cursor>()? })
    }
}

/// Which records, in the words of a request. An absent field matches everything.
#[derive(Debug, Clone, Default)]
pub struct RecordQuery {
    /// The object kind.
    pub sync_type: Option<String>,
    /// The state, such as `linked`.
    pub state: Option<String>,
    /// An external id or a HubSpot id.
    pub search: Option<String>,
}

/// Which lines of the audit. An absent field matches everything.
#[derive(Debug, Clone, Default)]
pub struct AuditQuery {
    /// The action, such as `retry`.
    pub action: Option<String>,
    /// Who performed it.
    pub actor: Option<String>,
}

/// Which lines of the log, in the words of a request. An absent field matches everything.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// `call` or `attempt`.
    pub kind: Option<String>,
    /// The object kind.
    pub sync_type: Option<String>,
    /// `ok`, or the class of the failure.
    pub class: Option<String>,
    /// Only failures.
    pub failures: bool,
    /// At or after this time.
    pub since: Option<DateTime<Utc>>,
}

impl LogQuery {
    fn filter(self) -> Result<LogFilter, OperatorError> {
        if self.kind.as_deref().is_some_and(|kind| !["call", "attempt"].contains(&kind)) {
            return Err(OperatorError::Filter("kind: use call or attempt".into()));
        }
        let Self { kind, sync_type, class, failures, since } = self;
        Ok(LogFilter { kind, sync_type, class, failures, since })
    }
}

/// A page of rows with counts, for people.
#[derive(Debug)]
pub struct CountedRows {
    /// The page.
    pub rows: Listing<RowView>,
    /// How many rows match, counted up to the limit.
    pub count: i64,
    /// How many of them are failed.
    pub failed: i64,
}

impl Operator {
    /// Returns a page of rows.
    ///
    /// # Errors
    /// When a filter is invalid, or the database fails.
    pub async fn rows(
        &self,
        query: RowQuery,
        page: &PageQuery,
    ) -> Result<Listing<RowView>, OperatorError> {
        let filter = query.filter().map_err(OperatorError::Filter)?;
        Ok(self.queue.rows(&filter, &page.page()?).await?)
    }

    /// Returns a page of rows, and counts those that match and those that are failed, up to
    /// `at_most` each.
    ///
    /// # Errors
    /// When a filter is invalid, or the database fails.
    pub async fn counted_rows(
        &self,
        query: RowQuery,
        page: &PageQuery,
        at_most: i64,
    ) -> Result<CountedRows, OperatorError> {
        let filter = query.filter().map_err(OperatorError::Filter)?;
        let rows = self.queue.rows(&filter, &page.page()?).await?;
        let count = self.queue.count_rows(&filter, at_most).await?;
        let failed = match filter.status {
            Some(Status::Failed) => count,
            Some(_) => 0,
            None => {
                let failed = RowFilter { status: Some(Status::Failed), ..filter };
                self.queue.count_rows(&failed, at_most).await?
            }
        };
        Ok(CountedRows { rows, count, failed })
    }

    /// Returns the rows of one event, oldest first, or `None` if the event is not known.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn event_rows(
        &self,
        source: &str,
        id: &str,
    ) -> Result<Option<Vec<RowView>>, OperatorError> {
        Ok(self.queue.event_rows(source, id).await?)
    }

    /// Returns the rows of each of `events`, which are named by source and id, in the same order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows_of_events(
        &self,
        events: &[(String, String)],
    ) -> Result<Vec<Option<Vec<RowView>>>, OperatorError> {
        Ok(self.queue.rows_of_events(events).await?)
    }

    /// Returns a page of records.
    ///
    /// # Errors
    /// When a filter is invalid, or the database fails.
    pub async fn records(
        &self,
        query: RecordQuery,
        page: &PageQuery,
    ) -> Result<Listing<RecordView>, OperatorError> {
        let state = query.state.as_deref().map(str::parse::<RecordState>).transpose();
        let filter = RecordFilter {
            sync_type: query.sync_type,
            state: state.map_err(|fault| OperatorError::Filter(format!("state: {fault}")))?,
            search: search(query.search).map_err(OperatorError::Filter)?,
        };
        Ok(self.queue.records(&filter, &page.page()?).await?)
    }

    /// Returns the groups of failed rows, largest first, of one object kind or of all.
    ///
    /// # Errors
    /// When the limit is invalid, or the database fails.
    pub async fn error_groups(
        &self,
        sync_type: Option<&str>,
        page: &PageQuery,
    ) -> Result<Vec<ErrorGroup>, OperatorError> {
        let limit = usize::try_from(page.limit()?).unwrap_or(usize::MAX);
        let groups = self.queue.error_groups(ERROR_GROUPS).await?;
        let wanted = |group: &ErrorGroup| sync_type.is_none_or(|kind| kind == group.sync_type);
        Ok(groups.into_iter().filter(wanted).take(limit).collect())
    }

    /// Returns a page of the audit as `role` may see it: only admins see the addresses from which
    /// people sign in.
    ///
    /// # Errors
    /// When the cursor or the limit is invalid, or the database fails.
    pub async fn audit(
        &self,
        query: AuditQuery,
        page: &PageQuery,
        role: Role,
    ) -> Result<Listing<AuditLine>, OperatorError> {
        let filter = AuditFilter { action: query.action, actor: query.actor };
        let mut lines = self.queue.audits(&filter, &page.page()?).await?;
        if !role.may(Role::Admin) {
            let details = lines.items.iter_mut().filter_map(|line| line.details.as_mut());
            for members in details.filter_map(Value::as_object_mut) {
                members.remove("from");
            }
        }
        Ok(lines)
    }

    /// Returns a page of the log.
    ///
    /// # Errors
    /// When a filter, the cursor or the limit is invalid, or the database fails.
    pub async fn logs(
        &self,
        query: LogQuery,
        page: &PageQuery,
    ) -> Result<Listing<LogLine>, OperatorError> {
        let (limit, cursor) = (page.limit()?, page.cursor()?);
        Ok(self.queue.logs(&query.filter()?, cursor, limit).await?)
    }

    /// Returns the end of the log now, for a list that is then followed from there.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_of_log(&self) -> Result<LogCursor, OperatorError> {
        Ok(self.tail.begins().await?)
    }

    /// Follows the log: first the lines after `after`, if it is given, then new ones. Also returns
    /// where the stream begins.
    ///
    /// # Errors
    /// When a filter is invalid, too many follow the log, or the database fails.
    pub async fn follow_log(
        &self,
        query: LogQuery,
        after: Option<LogCursor>,
    ) -> Result<(LogCursor, impl Stream<Item = TailLine> + Send + use<>), OperatorError> {
        let after = after.map(|cursor| LogCursor { newer: true, ..cursor });
        let followed = self.tail.follow(query.filter()?, after).await?;
        followed.ok_or(OperatorError::TooManyFollowers)
    }

    /// Returns what was synced and failed since `since`, in steps of `step`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn pulse(
        &self,
        since: DateTime<Utc>,
        step: TimeDelta,
    ) -> Result<Vec<PulsePoint>, OperatorError> {
        Ok(self.queue.pulse(since, step).await?)
    }
}
