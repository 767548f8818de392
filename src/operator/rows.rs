//! Rows: which ones are meant, and what may be done with them.

use chrono::{DateTime, Utc};

use super::bounds::{COUNTED, SAMPLE, ids, search};
use super::views::{Actor, RecordPreview, RowDetail, RowView, Why};
use super::{Operator, OperatorError, Reveal};
use crate::event::Priority;
use crate::queue::actions::retry::OneRow;
use crate::queue::model::Status;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page;

/// Which rows, in the words of a request. An absent field matches everything.
#[derive(Debug, Clone, Default)]
pub struct RowQuery {
    /// `pending`, `processing`, `synced`, `retry` or `failed`.
    pub status: Option<String>,
    /// The object kind.
    pub sync_type: Option<String>,
    /// The event's type.
    pub event_type: Option<String>,
    /// The application's id of the entity.
    pub external_id: Option<String>,
    /// The error code.
    pub error_code: Option<String>,
    /// The property at fault. Empty: the error names no property.
    pub error_property: Option<String>,
    /// `high`, `normal` or `low`.
    pub priority: Option<String>,
    /// Accepted at or after this time.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before this time.
    pub until: Option<DateTime<Utc>>,
    /// Retried or discarded by a person at exactly this instant.
    pub acted_at: Option<DateTime<Utc>>,
    /// Only these rows.
    pub ids: Option<Vec<i64>>,
    /// A search text.
    pub search: Option<String>,
}

impl RowQuery {
    /// Returns the filter, or what is wrong with the first field that is invalid.
    pub(super) fn filter(self) -> Result<RowFilter, String> {
        let status = self.status.as_deref().map(str::parse::<Status>).transpose();
        let priority = self.priority.as_deref().map(str::parse::<Priority>).transpose();
        Ok(RowFilter {
            status: status.map_err(|fault| format!("status: {fault}"))?,
            sync_type: self.sync_type,
            event_type: self.event_type,
            external_id: self.external_id,
            error_code: self.error_code,
            error_property: self.error_property,
            priority: priority.map_err(|_| "priority: use high, normal or low")?,
            since: self.since,
            until: self.until,
            acted_at: self.acted_at,
            ids: ids(self.ids)?,
            retryable: false,
            search: search(self.search)?,
        })
    }
}

/// What is done with many failed rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// They are sent again.
    Retry,
    /// They are given up for good.
    Discard,
}

impl Verb {
    /// The name of the verb.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// The name of the verb, for a button.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Retry => "Retry",
            Self::Discard => "Discard",
        }
    }

    /// Whether the verb loses data.
    #[must_use]
    pub fn is_final(self) -> bool {
        self == Self::Discard
    }

    /// What the verb does, for a person who is about to use it.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Retry => {
                "The retry counts start again and the rows are sent as soon as their turn comes. \
                 Newer data is never overwritten."
            }
            Self::Discard => {
                "HubSpot does not get the values of these rows, which are listed below as “goes \
                 out”. The rows are not counted and not retried any more. Each can be restored on \
                 its own page for as long as its event is kept."
            }
        }
    }

    /// What was done with the rows that `rows` counts, such as `3 rows`.
    #[must_use]
    pub fn outcome(self, rows: &str) -> String {
        match self {
            Self::Retry => format!("{rows} retried. They are sent as soon as their turn comes."),
            Self::Discard => format!("{rows} discarded. They are not counted or retried any more."),
        }
    }
}

/// The failed rows that a verb is meant for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// Which failed rows.
    pub query: RowQuery,
    /// Whether all failed rows are meant, if no filter is set.
    pub all: bool,
}

impl Selection {
    fn filter(self) -> Result<RowFilter, OperatorError> {
        if self.query.status.as_deref().is_some_and(|status| status != Status::Failed.as_str()) {
            let detail = "status: only `failed` rows can be chosen; the others need no action";
            return Err(OperatorError::Request(detail.into()));
        }
        let filter = self.query.filter().map_err(OperatorError::Request)?;
        Ok(RowFilter { status: Some(Status::Failed), ..filter })
    }
}

/// Whether a filter of failed rows leaves out none, or names none.
fn names_nothing(filter: &RowFilter) -> bool {
    let every = RowFilter { status: Some(Status::Failed), ..RowFilter::default() };
    *filter == every || filter.ids.as_ref().is_some_and(Vec::is_empty)
}

/// What a verb would do.
#[derive(Debug)]
pub struct RowsPreview {
    /// The number of matching rows, counted up to [`COUNTED`].
    pub matching: i64,
    /// Whether there are more than that.
    pub more: bool,
    /// The newest matching rows.
    pub sample: Vec<RowView>,
    /// What a retry of the sample would send, and a discard would lose.
    pub records: Vec<RecordPreview>,
}

/// What a verb has done.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    /// The number of rows.
    pub rows: u64,
    /// When it was done. [`RowQuery::acted_at`] finds the rows by it.
    pub at: DateTime<Utc>,
}

/// A row with everything that explains its state.
#[derive(Debug)]
pub struct RowAndReasons {
    /// The row, its payload, its attempts and its record.
    pub detail: RowDetail,
    /// Why it waits. The most immediate reason comes first.
    pub why: Vec<Why>,
}

impl Operator {
    /// Says what `verb` would do with the rows of `selection`, without doing it.
    ///
    /// # Errors
    /// When the selection is invalid or the database fails.
    pub async fn preview_rows(
        &self,
        verb: Verb,
        selection: Selection,
        reveal: Reveal<'_>,
    ) -> Result<RowsPreview, OperatorError> {
        let filter = RowFilter { retryable: verb == Verb::Retry, ..selection.filter()? };
        let matching = self.queue.count_rows(&filter, COUNTED + 1).await?;
        let sample = self.queue.rows(&filter, &Page::newest(SAMPLE)).await?.items;
        let ids: Vec<i64> = sample.iter().map(|row| row.id).collect();
        if let Reveal::ToProgram(actor) | Reveal::ToPerson(actor) = reveal {
            // The preview shows the values of these rows, so the audit log names them.
            let targets: Vec<String> = ids.iter().map(|id| row_target(*id)).collect();
            self.queue.note_reads(self.queue.now().await?, &actor.name, &targets).await?;
        }
        Ok(RowsPreview {
            matching: matching.min(COUNTED),
            more: matching > COUNTED,
            sample,
            records: self.previews_of_rows(&ids).await?,
        })
    }

    /// Retries or discards the failed rows of `selection`. A retry without a filter takes all of
    /// them; a discard loses data, so it needs a filter or `all`.
    ///
    /// # Errors
    /// When the selection is invalid or the database fails. What was done before that stays done.
    pub async fn act_on_rows(
        &self,
        verb: Verb,
        selection: Selection,
        actor: &Actor,
    ) -> Result<Outcome, OperatorError> {
        let all = selection.all;
        let filter = selection.filter()?;
        if verb == Verb::Discard && !all && names_nothing(&filter) {
            return Err(OperatorError::NothingNamed);
        }
        let (at, name) = (self.queue.now().await?, &actor.name);
        let rows = match verb {
            Verb::Retry => self.queue.retry_failed(&filter, name, at).await?,
            Verb::Discard => self.queue.discard_failed(&filter, name, at).await?,
        };
        self.forget().await;
        Ok(Outcome { rows, at })
    }

    /// Retries one failed row, or restores a discarded one.
    ///
    /// # Errors
    /// When the row cannot be retried, or the database fails.
    pub async fn retry_row(&self, id: &str, actor: &Actor) -> Result<(), OperatorError> {
        let (id, now) = (number(id)?, self.queue.now().await?);
        let outcome = self.queue.retry_one(id, &actor.name, now).await?;
        self.forget().await;
        done(outcome)
    }

    /// Discards one failed row.
    ///
    /// # Errors
    /// When the row is not failed, or the database fails.
    pub async fn discard_row(&self, id: &str, actor: &Actor) -> Result<(), OperatorError> {
        let (id, now) = (number(id)?, self.queue.now().await?);
        let outcome = self.queue.discard(id, &actor.name, now).await?;
        self.forget().await;
        done(outcome)
    }

    /// Confirms the erasure of a record that HubSpot had before hubferry. It cannot be undone.
    ///
    /// # Errors
    /// When the row does not wait for a confirmation, or the database fails.
    pub async fn confirm_erasure(&self, id: &str, actor: &Actor) -> Result<(), OperatorError> {
        let (id, now) = (number(id)?, self.queue.now().await?);
        let outcome = self.queue.confirm_erasure(id, &actor.name, now).await?;
        self.forget().await;
        match outcome {
            OneRow::NotFailed => Err(OperatorError::NothingToConfirm),
            outcome => done(outcome),
        }
    }

    /// Returns a row and why it waits.
    ///
    /// # Errors
    /// When there is no such row, or the database fails.
    pub async fn row(&self, id: &str, reveal: Reveal<'_>) -> Result<RowAndReasons, OperatorError> {
        let detail = self.queue.row(number(id)?).await?.ok_or(OperatorError::UnknownRow)?;
        let why = self.queue.why(&detail, self.queue.now().await?).await?;
        self.note_reveal(reveal, row_target(detail.row.id)).await?;
        Ok(RowAndReasons { detail, why })
    }
}

/// The name of a row in the audit.
fn row_target(id: i64) -> String {
    format!("row {id}")
}

fn number(id: &str) -> Result<i64, OperatorError> {
    id.parse().map_err(|_| OperatorError::UnknownRow)
}

fn done(outcome: OneRow) -> Result<(), OperatorError> {
    match outcome {
        OneRow::Done => Ok(()),
        OneRow::Unknown => Err(OperatorError::UnknownRow),
        OneRow::Erased => Err(OperatorError::SubjectErased),
        OneRow::NotFailed => Err(OperatorError::NotFailed),
    }
}
