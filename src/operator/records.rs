//! Records: one with its rows and associations, sending it again, and lifting an erasure.

use super::views::{Actor, AssociationView, RecordView, RowView};
use super::{Operator, OperatorError, Reveal};
use crate::queue::actions::decisions::Allow;
use crate::queue::actions::resync::OneRecord;
use crate::queue::audit::record_target;
use crate::queue::views::filter::RowFilter;
use crate::queue::views::page::Page;

/// A record with its associations and newest rows.
#[derive(Debug)]
pub struct RecordDetail {
    /// The record.
    pub record: RecordView,
    /// Its association slots.
    pub associations: Vec<AssociationView>,
    /// Its newest rows.
    pub rows: Vec<RowView>,
}

impl Operator {
    /// Returns a record with its associations and its newest `rows` rows.
    ///
    /// # Errors
    /// When there is no such record, or the database fails.
    pub async fn record(
        &self,
        sync_type: &str,
        external_id: &str,
        rows: i64,
        reveal: Reveal<'_>,
    ) -> Result<RecordDetail, OperatorError> {
        let record = self.queue.record_by_key(sync_type, external_id).await?;
        let record = record.ok_or(OperatorError::UnknownRecord)?;
        self.note_reveal(reveal, record_target(sync_type, record.id)).await?;
        let associations = self.queue.associations(record.id).await?;
        let filter = RowFilter {
            sync_type: Some(sync_type.to_owned()),
            external_id: Some(external_id.to_owned()),
            ..RowFilter::default()
        };
        let rows = self.queue.rows(&filter, &Page::newest(rows)).await?.items;
        Ok(RecordDetail { record, associations, rows })
    }

    /// Sends all known values of a record again, whatever HubSpot has accepted.
    ///
    /// # Errors
    /// When there is no such record, nothing of it can be sent, or the database fails.
    pub async fn resync_record(
        &self,
        sync_type: &str,
        external_id: &str,
        actor: &Actor,
    ) -> Result<(), OperatorError> {
        let now = self.queue.now().await?;
        let outcome = self.queue.resync(sync_type, external_id, &actor.name, now).await?;
        self.forget().await;
        match outcome {
            OneRecord::Done => Ok(()),
            OneRecord::Unknown => Err(OperatorError::UnknownRecord),
            OneRecord::Nothing => Err(OperatorError::NothingToResync),
        }
    }

    /// Lifts an erasure, so that events of this subject are accepted again.
    ///
    /// # Errors
    /// When there is no erased subject of this kind and id, its erasure has not ended, or the
    /// database fails.
    pub async fn allow_record(
        &self,
        sync_type: &str,
        external_id: &str,
        actor: &Actor,
    ) -> Result<(), OperatorError> {
        let now = self.queue.now().await?;
        let outcome = self.queue.allow(sync_type, external_id, &actor.name, now).await?;
        self.forget().await;
        match outcome {
            Allow::Done => Ok(()),
            Allow::Unknown => Err(OperatorError::NotErased),
            Allow::Erasing => Err(OperatorError::ErasureOpen),
        }
    }
}
